"""Checkpoints are data: round trip, other architectures, torn and hostile files."""

import pickle
from pathlib import Path

import chgnet as chgnet_package
import pytest
import torch
from chgnet.model import CHGNet

from halion.errors import HalionError, InputError
from halion.potentials import ChgnetPotential, load_potential

PRETRAINED = Path(chgnet_package.__file__).parent / "pretrained"


@pytest.fixture
def saved() -> dict:
    """What chgnet's trainer stores of a model."""
    return {"model": CHGNet.load(verbose=False, use_device="cpu").as_dict()}


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_the_published_file_is_the_pretrained_model(chgnet, structures):
    path = next((PRETRAINED / "0.3.0").glob("*.tar"))
    potential = load_potential(str(path))
    atoms = structures["mixed halide"]
    assert potential.weights_sha256 == chgnet.weights_sha256
    assert potential.evaluate(atoms).energy == chgnet.evaluate(atoms).energy


def test_changed_weights_give_another_digest_and_energy(chgnet, structures, saved, tmp_path):
    saved["model"]["state_dict"]["mlp.layers.7.bias"] = saved["model"]["state_dict"]["mlp.layers.7.bias"] + 0.5
    potential = ChgnetPotential(write(tmp_path / "tuned.pth.tar", saved))
    atoms = structures["mixed halide"]
    assert potential.name == "chgnet-tuned"
    assert potential.weights_sha256 != chgnet.weights_sha256
    # The last bias is added to every site energy.
    difference = potential.evaluate(atoms).energy - chgnet.evaluate(atoms).energy
    assert difference == pytest.approx(0.5 * len(atoms), abs=1e-5)


def test_r2scan_has_its_own_element_references(chgnet, structures):
    """Same network, other data: total energies differ by its own composition reference."""
    path = next((PRETRAINED / "r2scan").glob("*.tar"))
    model, atoms = CHGNet.load(model_name="r2scan", verbose=False, use_device="cpu"), structures["mixed halide"]
    from pymatgen.io.ase import AseAtomsAdaptor

    expected = float(model.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="e")["e"]) * len(atoms)
    assert ChgnetPotential(path).evaluate(atoms).energy == pytest.approx(expected, abs=2e-5)
    assert abs(expected - chgnet.evaluate(atoms).energy) > 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_conv", 3),
        ("mlp_out_bias", True),
        ("atom_graph_cutoff", 5),
        ("attention", 4),
        ("composition_model", None),
    ],
)
def test_another_architecture_is_refused_by_name(saved, tmp_path, key, value):
    saved["model"]["model_args"][key] = value
    with pytest.raises(InputError, match=key):
        ChgnetPotential(write(tmp_path / "other.pth", saved))


def test_missing_arguments_are_refused(saved, tmp_path):
    del saved["model"]["model_args"]["cutoff_coeff"]
    with pytest.raises(InputError, match="cutoff_coeff is not given"):
        ChgnetPotential(write(tmp_path / "other.pth", saved))


def test_version_0_2_0_is_refused():
    with pytest.raises(InputError, match="num_radial=9"):
        ChgnetPotential(next((PRETRAINED / "0.2.0").glob("*.tar")))


def test_weights_of_another_shape_are_refused(saved, tmp_path):
    saved["model"]["state_dict"]["site_wise.weight"] = torch.zeros(1, 32)
    with pytest.raises(InputError, match="do not fit"):
        ChgnetPotential(write(tmp_path / "other.pth", saved))


@pytest.mark.parametrize("part", [0, 1, 1000, 1_000_000])
def test_torn_file(saved, tmp_path, part):
    path = write(tmp_path / "torn.pth", saved)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(InputError, match="not a CHGNet checkpoint"):
        ChgnetPotential(path)


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], {"model": {"state_dict": {}}}, {"model": None}])
def test_other_content(tmp_path, content):
    with pytest.raises(InputError, match="not a CHGNet checkpoint"):
        ChgnetPotential(write(tmp_path / "other.pth", content))


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(tmp_path):
    path, trace = tmp_path / "hostile.pth", tmp_path / "trace"
    for content in (pickle.dumps(_Touch(trace)), None):
        if content is None:
            torch.save({"model": _Touch(trace)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(InputError):
            ChgnetPotential(path)
        assert not trace.exists()


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "nothing.pth", tmp_path):
        with pytest.raises(HalionError):
            load_potential(str(path))
        with pytest.raises(InputError):
            ChgnetPotential(path)
