"""Keys for sealing with gpg are made as docs/security.md says, literally, and are of use."""

import re
import shutil
import subprocess

import pytest

from tests.tidy.sources import ROOT
from understudy.app.preflight import check
from understudy.judge.preflight import Grade

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
_PAGE = (ROOT / "docs" / "security.md").read_text().partition("### Sealing with GnuPG")[2]
_MAKING_KEYS = re.search(r"^```sh\n(.*?)^```", _PAGE, re.M | re.S).group(1)
_NAMING_THEM = re.search(r"^```yaml\n(.*?)^```", _PAGE, re.M | re.S).group(1)


def test_keys_that_are_made_as_the_page_says_seal_and_open(tmp_path):
    made = subprocess.run(["/bin/sh", "-e"], input=_MAKING_KEYS, cwd=tmp_path, capture_output=True, text=True, check=True)
    main, kit = re.findall(r"^ +([0-9A-F]{40})$", made.stdout, re.M)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.secret.asc")} == {0o600}
    encryption = _NAMING_THEM.replace("FINGERPRINT_OF_MAIN", main).replace("FINGERPRINT_OF_KIT", kit)
    (tmp_path / "docs").mkdir()
    stack_file = tmp_path / "understudy.yaml"
    stack_file.write_text(
        f"stack: shelf\nrepositories: {{near: {{url: 'file://{tmp_path}/near'}}}}\n"
        f"{encryption.replace('/etc/understudy', str(tmp_path))}"
        f"resources: {{docs: {{kind: files, path: {tmp_path}/docs}}}}\n"
    )
    found = {each.aspect: each for each in check(stack_file, tmp_path / "state").findings if each.subject == "keys"}
    assert found["recipients"].grade is Grade.OK and kit in found["recipients"].found
    assert found["identity"].found == "opens what the recipients seal"
