"""``adopt``: what a person sees who has lost everything else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.options import json_option
from understudy.cli.printing import print_json, say
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.adopting import Adoption
    from understudy.app.adoption_survey import HeldResource, KeptWal

_FILE = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_DEFAULT_STACK = "understudy.yaml"
_HANG = 9
_SCENARIO = "complete_failure"
_PLACE = "/an/empty/directory"


@click.command(
    epilog="""\b
Examples:
  understudy adopt /mnt/backup/shop --kit /media/usb/shop-kit.txt
  understudy adopt s3://shop-recovery/prod --kit shop-kit.txt \\
      --endpoint https://s3.example.com \\
      --access-key env:S3_KEY --secret-key env:S3_SECRET
  understudy adopt /mnt/copy --kit shop-kit.txt --as far

Exit codes: 0 all of it is here now, or was already, 1 the repository cannot be read or a directory cannot be used,
2 an option or the kit is wrong, 3 a secret, the repository or its stack file is missing, 5 refused: it is not the kit's,
not signed, or something else is where this would write.
"""
)
@click.argument("repository")
@click.option("--kit", required=True, type=_FILE, help="The recovery kit, as understudy init wrote it.")
@click.option("--endpoint", metavar="URL", help="Of the S3 service, if it is not Amazon's.")
@click.option("--region", metavar="NAME", help="The bucket's region.")
@click.option("--access-key", "access_key_reference", metavar="REFERENCE", help="S3 access key: env:NAME or file:/path.")
@click.option("--secret-key", "secret_key_reference", metavar="REFERENCE", help="S3 secret key: env:NAME or file:/path.")
@click.option("--as", "name", metavar="NAME", help="What the stack file calls the repository, where that cannot be told.")
@click.option(
    "--stack", "-f", "output", type=_FILE, envvar="UNDERSTUDY_STACK", default=_DEFAULT_STACK, show_default=True,
    help="The stack file to write.",
)  # fmt: skip
@click.option("--state", type=_DIRECTORY, envvar="UNDERSTUDY_STATE", help="State directory. Default: that of the stack file.")
@click.option("--signer", "signers", multiple=True, metavar="KEY", help="Believe this public key, too; the kit does not name it.")
@click.option("--stored", metavar="SHA256", help="Take this stored stack file, signed or not. Default: the newest, if signed.")
@click.option("--show", is_flag=True, help="Print the stack file that is stored there, believed or not, and write nothing.")
@json_option
def adopt(
    repository: str, kit: Path, output: Path, state: Path | None, show: bool, as_json: bool, signers: tuple[str, ...], **wish: str
) -> None:
    """On a machine that has nothing: make of a repository and the recovery kit all that a recovery begins with.

    REPOSITORY is a directory, or s3://bucket/prefix. The stack file that is kept in it is opened with the kit's key, believed if
    one of the kit's signers has signed it, and written here with new keys and REPOSITORY's address. Then it says what is there to
    be recovered, and what is missing here. Nothing is overwritten, and nothing is written to the repository: it stays the old
    controller's until recover takes it over.

    Of an S3 address that stands in the kit, the kit names endpoint and keys, too.
    """
    from understudy.app.adopting import adopt as carry_out
    from understudy.app.adopting import stored_stack_file
    from understudy.app.adoption_wish import AdoptionWish

    wanted = AdoptionWish(repository, kit, output, state, signers=signers, **wish)
    if show:
        click.echo(stored_stack_file(wanted), nl=False)
        return
    adoption = carry_out(wanted)
    if as_json:
        print_json({"adoption": adoption, "next": tuple(command for command, _ in next_commands(adoption))})
    else:
        _print(adoption)


def next_commands(adoption: Adoption) -> Iterator[tuple[str, str]]:
    """In the order in which they are typed; each with a remark, or none."""
    if adoption.repository.is_this_hosts:
        yield _on(adoption, "status"), ""
        return
    yield _on(adoption, "check"), "until then, it finds fault with the controller, and with what is gone"
    held = [each for each in adoption.resources if each.newest is not None]
    if held:
        some = held if len(held) < len(adoption.resources) else []
        which = [word for each in some for word in ("--resource", each.resource)]
        yield _on(adoption, "recover", _SCENARIO, "--take-over", *which, *_from_here(adoption, *held)), ""
    for each in held[:1]:
        beside = "or only a copy beside it: takes nothing over"
        yield _on(adoption, "restore", each.resource, "--to", _PLACE, *_from_here(adoption, each)), beside


def _on(adoption: Adoption, *words: str) -> str:
    default = Path(_DEFAULT_STACK).absolute()
    here = [] if adoption.stack_file == default else ["--stack", str(adoption.stack_file)]
    return shlex.join(["understudy", *words, *here])


def _from_here(adoption: Adoption, *held: HeldResource) -> list[str]:
    """Where another repository would be read first, which may be lost."""
    name = adoption.repository.name
    return ["--repository", name] if any(name in each.repositories[1:] for each in held) else []


def _print(adoption: Adoption) -> None:
    for line in (*_found(adoption), *_written(adoption), *_missing(adoption)):
        say(line, hang=_HANG)
    say(f"\n{_whose(adoption)}")
    lacking = adoption.missing and not adoption.repository.is_this_hosts
    say("\nNext, once what is missing is set:" if lacking else "\nNext:")
    for command, remark in next_commands(adoption):
        click.echo(f"  {command}{f'    # {remark}' if remark else ''}")


def _found(adoption: Adoption) -> Iterator[str]:
    there = adoption.repository
    yield f"found    {there.url}: repository {there.name} of the stack {adoption.stack}, made {there.created:%Y-%m-%d %H:%M} UTC"
    if adoption.stored is not None:
        signed = f"signed by {adoption.stored.signer}" if adoption.stored.signer else "NOT signed; taken because you named it"
        yield f"found    its stack file of {adoption.stored.written:%Y-%m-%d %H:%M:%S} UTC, {signed}"
    for signer in adoption.kit_signers_left_out:
        yield f"note     the stack file does not name the kit's signer {signer} any more: what it has signed is not believed"
    for each in adoption.resources:
        yield from _held(adoption, each)


def _held(adoption: Adoption, held: HeldResource) -> Iterator[str]:
    what = f"{held.resource} ({held.kind})"
    kept_here = adoption.repository.name in held.repositories
    if held.fault:
        yield f"UNKNOWN  {what}: {held.fault}"
    elif held.newest is None:
        why = "no usable backup is here" if kept_here else f"it is kept in {', '.join(held.repositories)}, and not here"
        yield f"NOTHING  {what}: {why}"
    else:
        newest = held.newest
        count = f"{held.backups} backup{'' if held.backups == 1 else 's'}, the newest"
        size = "" if newest.size_bytes is None else f", {readable_size(newest.size_bytes)}"
        told = f"{count} {newest.label} of {newest.ended:%Y-%m-%d %H:%M:%S} UTC{size}"
        yield f"found    {what}: {told}{_wal(held.wal)}{f'; {held.server}' if held.server else ''}"
    for each in held.unusable:
        yield f"note     {what}: a backup cannot be used: {each}"


def _wal(wal: KeptWal | None) -> str:
    if wal is None:
        return ""
    commit = f", newest commit {wal.newest_commit:%Y-%m-%d %H:%M:%S} UTC" if wal.newest_commit else ""
    return f"; WAL up to {wal.until} on timeline {wal.timeline}{commit}"


def _written(adoption: Adoption) -> Iterator[str]:
    if adoption.already:
        yield f"already  all is there: {adoption.stack_file} and {adoption.state} are of this repository; nothing was written"
        return
    yield f"wrote    {adoption.identity_file} (the kit's key; put the kit back into the safe)"
    yield f"wrote    {adoption.state / 'signing.key'} (a new signing key)"
    yield f"wrote    {adoption.stack_file} (the stack file)"
    for change in adoption.changes:
        was = f", was {change.was}" if change.was else " (added)"
        yield f"changed  {change.key}: {change.becomes}{was}"
    yield f'note     add this line to the kit, or the next adopt will not know this host: "#   signer: {adoption.signer}"'


def _missing(adoption: Adoption) -> Iterator[str]:
    for each in adoption.missing:
        yield f"MISSING  {each.reference}: {each.meaning}{'' if each.reference.startswith('env:') else f' ({each.found})'}"
        if each.recovers is not None:
            port = f", port {each.port}" if each.port else ""
            yield (
                f"{' ' * _HANG}also where the server is gone: recover asks there whether it is, and afterwards it must lead to "
                f"the recovered one (this host{port}), or recover.url in the stack file must"
            )
    for name, url in adoption.other_repositories.items():
        yield f"note     repository {name}, {url}, stays in the stack file as it was: change it there if it is lost or elsewhere"


def _whose(adoption: Adoption) -> str:
    there = adoption.repository
    if there.is_this_hosts:
        return f"The repository is this host's: controller {there.controller} since {there.claimed:%Y-%m-%d %H:%M} UTC."
    if there.controller is None:
        return "Nothing was written to the repository."
    return (
        f"Nothing was written to the repository. It belongs to controller {there.controller} since "
        f"{there.claimed:%Y-%m-%d %H:%M} UTC. recover --take-over makes it this host's: you say by it that the other host is "
        "gone for good, and where it lives, it can store nothing more from then on."
    )
