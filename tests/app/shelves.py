"""Three directories that are kept together, and can be lost together."""

from tests.app.shelf import Shelf, SilentWatcher, flip
from understudy.app.backups import back_up
from understudy.app.recoveries import drill, recover
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import Person, ResourceName

PICS, LOGS = ResourceName("pics"), ResourceName("logs")
ALL = Scenario.COMPLETE_FAILURE


class Shelves(Shelf):
    """Beside docs: pics, which depend on them, and logs, which can wait."""

    def write(self, *lines, **options):
        options["resources"] = [
            f"pics: {{kind: files, path: {self.directory}/pics, depends_on: [docs]}}",
            f"logs: {{kind: files, path: {self.directory}/logs, priority: P3}}",
        ]
        super().write(*lines, **options)

    def fill(self):
        super().fill()
        for name in (PICS, LOGS):
            (self.directory / name).mkdir()
            (self.directory / name / "one").write_text(name)

    def back_up_all(self):
        self.back_up()
        for name in (PICS, LOGS):
            assert back_up(self.installation, name, None, SilentWatcher()).succeeded

    def damage(self, name, repository):
        folder = self.directory / repository / "files" / name / "parts"
        for part in folder.iterdir():
            flip(part)

    def recover(self, *names, scenario=ALL, watcher=None, **wish):
        chosen = Choice(**wish.pop("choice", {}))
        wish = {"approved_by": Person("anna")} | wish
        return recover(self.installation, scenario, names, chosen, watcher or SilentWatcher(), **wish)

    def drill(self, *names, scenario=ALL, **choice):
        return drill(self.installation, scenario, names, Choice(**choice), SilentWatcher())
