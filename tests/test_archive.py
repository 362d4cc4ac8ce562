"""What is there for those who cite, archive and check."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lib.store.files import ROOT

CRATE = "ro-crate-metadata.json"
# The validator with the context of RO-Crate that rocrate brings, so that it needs no network.
VALIDATE = """
import json, sys
from importlib.resources import files
from types import SimpleNamespace
from rdflib.plugins.shared.jsonld import context
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester
bundled = json.loads(files("rocrate").joinpath("data/ro-crate.jsonld").read_text())
context.source_to_json = lambda *given, **named: (bundled, None)
page = SimpleNamespace(json=lambda: bundled, status_code=200, headers={"Content-Type": "application/ld+json"})
HttpRequester.get = lambda *given, **named: page
settings = models.ValidationSettings(rocrate_uri=sys.argv[1], profile_identifier="ro-crate-1.3")
issues = services.validate(settings).get_issues()
sys.exit("\\n".join(f"{issue.violatingEntity}: {issue.message}" for issue in issues) or 0)
"""


def test_the_crate_describes_this_checkout(tmp_path):
    subprocess.run([sys.executable, ROOT / "workflow" / "crate", tmp_path], check=True)
    assert (tmp_path / CRATE).read_text() == (ROOT / CRATE).read_text(), "workflow/crate writes it anew"
    ids = {entity["@id"] for entity in json.loads((ROOT / CRATE).read_text())["@graph"]}
    assert {"outputs/accuracy.csv", "data/mnist/", "notebooks/sweep.ipynb", "outputs/sweep/fc-seed0.ipynb"} <= ids


CHECKS = {
    "cffconvert": (["cffconvert==2.0.0"], ["cffconvert", "--validate", "-i", "CITATION.cff"]),
    "roc-validator": (["roc-validator==0.13.0", "rocrate==0.16.0"], ["python", "-c", VALIDATE, str(ROOT)]),
}


@pytest.mark.evidence
@pytest.mark.parametrize("name", CHECKS)
def test_programs_that_read_it_accept_it(name):
    """In environments of their own, since they ask for older packages than the notebooks."""
    packages, command = CHECKS[name]
    run = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--isolated"]
    run += [word for package in packages for word in ("--with", package)]
    if subprocess.run([*run, "python", "-c", ""], capture_output=True).returncode:
        pytest.skip("no package registry can be reached")
    found = subprocess.run([*run, *command], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_citation_names_the_paper_and_the_version_of_this_companion():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f'version = "{about["version"]}"' in (ROOT / "pyproject.toml").read_text()
    paper = about["preferred-citation"]["title"]
    assert about["references"][0]["title"] == paper and f"*{paper}*" in (ROOT / "README.md").read_text()


def test_the_image_installs_from_what_it_copies_first(tmp_path):
    """As far as no container runs: make and pip find all that they read, before the rest is copied."""
    copied, _, _ = (ROOT / "Dockerfile").read_text().partition("COPY . .")
    for line in re.findall(r"^COPY (.+)", copied, re.M):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    planned = subprocess.run(["make", "-n", ".venv/.ready"], cwd=tmp_path, capture_output=True, text=True)
    assert planned.returncode == 0 and ".ci/install.py" in planned.stdout, planned.stderr
    wheel = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--quiet", "--offline", "."]
    built = subprocess.run(wheel, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (version,) = re.findall(r"^FROM python:3\.(\d+)", copied, re.M)
    assert 11 <= int(version) <= 13
