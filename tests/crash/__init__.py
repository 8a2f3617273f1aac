"""The marching kill: one run, killed with SIGKILL at every point there is, ends like a run that nobody killed.

How it works. A *scene* (``scene.Scene``) says what is played: a plan, a world for it, and its state directory
``<directory>/state``. ``march(scene, directory)`` plays it in processes of its own. Each process wraps the steps, every port
in the step's world and the records in watchers that know *points*; at the first point that was never reached before, its
label is written down and the process kills itself. The next process resumes the run, gets one point further, and so on,
until one gets through. ``undisturbed(scene, directory)`` plays the same without killing, to compare with.

Points are labels that do not change from one process to the next:

    orders/take-base-backup:before                                   the step is about to run
    orders/take-base-backup:stores.near.put#2:before                 its second call of that port, before the call …
    orders/take-base-backup:stores.near.put#2:after                  … and after it returned
    orders/take-base-backup:stores.near.put#1:input#2                the call has taken the second piece of an iterator
    orders/take-base-backup:stores.near.read#1:item#2                the caller takes the second piece of what was returned
    orders/take-base-backup:databases.orders.base_backup#1:entered   the context manager that was returned has been entered
    orders/take-base-backup:databases.orders.base_backup.stop#1:before    a call of the object that it gave
    orders/take-base-backup:after                                    the step has run, nothing of it is recorded yet
    orders/take-base-backup:records.conclude_step:after              and now it is

So that polling loops do not make points without end, only the first two calls of a method (and the first two pieces of each
iterator) in each execution of a step count; ``Scene.caps`` changes that for patterns of ``port.method``, in
``fnmatch`` notation, first match wins. Calls of ``clock``, ``progress`` and ``cancellation`` are no points, nor are those that
``Scene.reads`` names: they change nothing, so what is killed beside them is what is killed beside the effects around them.

The run is one, so what a step did before it was killed is there when it runs again: a step that looks first takes another path
then, and a point that only an untouched start leads to (``put#2:after``, when the first object is found and not put again) is
not reached. Each point that *is* reached kills exactly once.

How to use it for a procedure:

1. Write ``tests/crash/<procedure>_scene.py`` with ``SCENE = Scene(plan=…, world_for=…)``, or several by other names
   (``module:NAME``). Both functions take the directory and run in the playing process; what they need to know (addresses,
   ports, sizes) is put into files of the directory by the test, since servers, stores and whatever else must survive the
   kills belong to the test, not to the scene.
2. In the test: start what must survive, fill two directories alike, then

       calm = undisturbed("tests.crash.<procedure>_scene", calm_directory)
       marched = march("tests.crash.<procedure>_scene", directory)
       assert_killed_everywhere(marched.points, directory)
       assert_same_story(calm_directory, directory, forget={"duration_seconds"})

   ``assert_killed_everywhere`` demands of every step that ran a kill before it, inside it, after it, and once its end was
   recorded; leave it out only where ``Scene.points`` leaves points out. ``assert_same_story`` compares the run's end, the
   steps' states, claims and proofs (but for the keys in ``forget``, at any depth), and sees that the chain is whole, holds each
   step and the run's end exactly once, and says what is shown of them. What the world looks like afterwards (stores, data
   directories, rows, processes) only the test knows how to compare: do that too.
3. Look at ``marched.points`` once: are the points you fear among them?

The real procedures are in ``postgres_scenes``; ``postgres_stage`` makes their servers and installations, and says what must be
left of them. Only the first call of each method is a point there (of ``receipts.write`` the first of each receipt), unless
``UNDERSTUDY_CRASH_CALLS`` says otherwise: 1 comes to about 100 points for a backup, a drill or a restore and 250 for a recovery,
half a minute to a minute each on two idle cores.

A point of a light plan costs 0.2 to 0.4 s, because each process is forked from one that has everything imported.
"""
