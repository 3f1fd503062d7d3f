"""Installed packages are found through entry points; a broken one is left out and named."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

from nasplug.contract.errors import PluginError, PluginImportError
from nasplug.contract.hookspecs import CONTRACT_VERSION
from nasplug.plugins import discovery
from nasplug.plugins.catalog import Catalog


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with an entry point on the path, as an installer would leave it."""

    def make(name: str, source: str) -> None:
        module = f"nasplug_fake_{name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"nasplug_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: nasplug-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nasplug]\n{name} = {module}\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    discovery.forget()
    yield make
    discovery.forget()


GOOD = """
    import nasplug as nas
    @nas.hookimpl
    def register(catalog):
        catalog.strategy({name!r}, "nasplug_fake_good:Thing", summary="A thing.")
    class Thing:
        "A thing."
"""


def test_an_installed_plugin_is_found(install):
    install("good", GOOD.format(name="thing"))
    found = discovery.discover()
    assert found.catalog.get("strategy", "thing").distribution == "nasplug-good 1.0"
    assert found.catalog.get("strategy", "thing").load().__doc__ == "A thing."
    assert found.catalog.has("strategy", "random")
    assert "good" not in [plugin.name for plugin in found.broken]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_nobody_has", "No module named 'a_module_nobody_has'"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "has no `register` hook"),
        ("NASPLUG_CONTRACT = '99.0'", "was written for contract 99.0.*install a later nasplug"),
        ("NASPLUG_CONTRACT = '2.99'", "was written for contract 2.99.*install a later nasplug"),
        ("NASPLUG_CONTRACT = '1.4'", "was written for contract 1.4.*a version of the plugin made for this nasplug"),
        ("NASPLUG_CONTRACT = 'two'", "names the contract 'two', which is not a version"),
        ("import nasplug as nas\n@nas.hookimpl\ndef register(catalogue): ...", "does not fit the contract"),
        (
            "import nasplug as nas\n@nas.hookimpl\ndef register(catalog): catalog.strategy('a', 'no colon')",
            "not 'module:",
        ),
        (
            "import nasplug as nas\n@nas.hookimpl\ndef register(catalog): catalog.strategy('random', 'other:Random')",
            "announced twice: by nasplug .* and by nasplug-broken 1.0",
        ),
    ],
)
def test_a_broken_plugin_is_left_out_by_name_and_the_rest_works(install, source, reason):
    install("good", GOOD.format(name="thing"))
    install("broken", source)
    found = discovery.discover()
    (broken,) = [plugin for plugin in found.broken if plugin.name == "broken"]
    assert broken.distribution == "nasplug-broken 1.0"
    assert re.search(reason, broken.error, re.DOTALL)
    assert found.catalog.has("strategy", "thing")
    assert found.catalog.get("strategy", "random").distribution.startswith("nasplug ")


def test_two_plugins_claiming_one_name_are_both_named(install):
    install("aaa", GOOD.format(name="thing"))
    install("bbb", GOOD.format(name="thing").replace("nasplug_fake_good", "nasplug_fake_bbb"))
    found = discovery.discover()
    (broken,) = [plugin for plugin in found.broken if plugin.name == "bbb"]
    assert "nasplug-aaa 1.0" in broken.error
    assert "nasplug-bbb 1.0" in broken.error
    assert found.catalog.get("strategy", "thing").distribution == "nasplug-aaa 1.0"


def test_the_environment_variable_restricts(install, monkeypatch):
    install("good", GOOD.format(name="thing"))
    monkeypatch.setenv("NASPLUG_PLUGINS", "")
    assert not discovery.discover().catalog.has("strategy", "thing")
    monkeypatch.setenv("NASPLUG_PLUGINS", "good, gone")
    found = discovery.discover()
    assert found.catalog.has("strategy", "thing")
    assert [plugin.name for plugin in found.broken] == ["gone"]


def test_a_file_is_a_plugin(toy_path, tmp_path):
    assert discovery.discover([toy_path]).catalog.has("space", "toy")
    with pytest.raises(PluginImportError, match="there is no file"):
        discovery.discover([tmp_path / "absent.py"])
    bad = tmp_path / "bad.py"
    bad.write_text("raise ValueError('no')")
    with pytest.raises(PluginImportError, match="ValueError: no"):
        discovery.discover([bad])


@pytest.mark.parametrize(
    ("kind", "name", "location", "match"),
    [
        ("stratgy", "a", "m:A", "did you mean 'strategy'"),
        ("strategy", "a b", "m:A", "cannot be the name"),
        ("strategy", "", "m:A", "cannot be the name"),
        ("strategy", "a", "m.A", "not 'module:Attribute'"),
    ],
)
def test_bad_announcements_are_refused(kind, name, location, match):
    with pytest.raises(PluginError, match=match):
        Catalog().add(kind, name, location)


def test_a_missing_library_names_the_extra():
    catalog = Catalog()
    catalog.strategy("a", "nasplug_nowhere:A")
    with pytest.raises(PluginImportError, match="install the package"):
        catalog.get("strategy", "a").load()


def test_the_contract_has_a_version():
    assert CONTRACT_VERSION.count(".") == 1


def test_importing_and_listing_load_no_torch():
    code = """
import sys, nasplug
from nasplug.plugins.discovery import discover
assert discover().catalog.names("strategy")
heavy = {"torch", "pytorch_lightning", "timm", "sklearn", "matplotlib", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, nasplug; assert not {'torch', 'numpy', 'pluggy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
