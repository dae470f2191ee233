"""Each kernel, forward and backward, against plain torch in float64 with automatic derivatives.

The kernels run in float64 too, so agreement is at rounding: RTOL is a thousand times that of one operation.
Tiles are cut by the number of rows, and rows beyond it must stay as they are.
"""

import numpy as np
import pytest
import torch
from gpu_setup import DEVICE, QUIET, chgnet_weights
from torch.nn.functional import linear as torch_linear
from torch.nn.functional import silu

from halion.potentials.folded import LAYER_NORM_EPS
from halion.potentials.gpu.angle_kernels import (
    angle_messages,
    angle_messages_backward,
    bond_messages,
    bond_messages_backward,
)
from halion.potentials.gpu.atom_kernels import atom_messages, atom_messages_backward
from halion.potentials.gpu.basis_kernels import angle_rows, angle_slopes, radial_rows, radial_slopes
from halion.potentials.gpu.launch import launch, tiles
from halion.potentials.gpu.readout_kernel import readout
from halion.potentials.gpu.rows import Gather, Rows, Segments, linear, sum_segments
from halion.potentials.gpu.weights import pack_weights

pytestmark = QUIET
RTOL = 1e-12
LIMIT, ROOM, BLOCK = 75, 100, 32  # rows in use, rows there are, rows of a tile
CONSTANTS = {"PRECISION": "ieee", "BLOCK": BLOCK}


@pytest.fixture(scope="module")
def weights():
    return chgnet_weights()


@pytest.fixture(scope="module")
def packed(weights):
    return pack_weights(weights, torch.device(DEVICE), torch.float64)


def normal(*shape, seed) -> torch.Tensor:
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=torch.float64, device=DEVICE, requires_grad=True)


def tensor(array) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=DEVICE)


def integers(*shape, high, seed) -> torch.Tensor:
    numbers = np.random.default_rng(seed).integers(0, high, size=shape)
    return torch.tensor(numbers, dtype=torch.int32, device=DEVICE)


def blank(*shape) -> torch.Tensor:
    return torch.full(shape, 7.0, dtype=torch.float64, device=DEVICE)


def count(n=LIMIT) -> torch.Tensor:
    return torch.tensor([n], dtype=torch.int32, device=DEVICE)


def run(kernel, *arguments, room=ROOM, **constants) -> None:
    arguments = tuple(one.detach() if isinstance(one, torch.Tensor) else one for one in arguments)
    launch(kernel, (tiles(room, BLOCK),), arguments, CONSTANTS | constants)


def assert_rows(got, wanted, limit=LIMIT) -> None:
    """The rows in use agree, the others still hold what was there."""
    wanted = wanted.detach()
    scale = float(wanted[:limit].abs().max())
    assert scale > 0
    assert float((got[:limit] - wanted[:limit]).abs().max()) < RTOL * scale
    assert bool((got[limit:] == 7.0).all())


def gated(x_core, x_gate, norm) -> torch.Tensor:
    def normed(x, k):
        unit = x / torch.sqrt((x**2).mean(dim=1, keepdim=True) + LAYER_NORM_EPS)
        return unit * tensor(norm.scale[k]) + tensor(norm.shift[k])

    return silu(normed(x_core, 0)) * torch.sigmoid(normed(x_gate, 1))


def two_layers(hidden, layer) -> torch.Tensor:
    parts = [silu(hidden[:, :64]), silu(hidden[:, 64:])]
    core, gate = (torch_linear(x, tensor(layer.weight2[k]), tensor(layer.bias2[k])) for k, x in enumerate(parts))
    return gated(core, gate, layer.norm)


@pytest.mark.parametrize("gather", [None, "take", "add"])
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 64), (128, 192), (64, 32)])
def test_linear(inputs, outputs, gather):
    x, weight = normal(ROOM, inputs, seed=0), normal(inputs, outputs, seed=1)
    bias, residual, index = normal(outputs, seed=2), normal(ROOM, outputs, seed=3), integers(ROOM, high=60, seed=4)
    source = {None: x, "take": x[index.long()], "add": x + x[index.long()]}[gather]
    how = None if gather is None else Gather(index, and_own=gather == "add")
    rows, extra = Rows(count(), ROOM), (bias.detach(), residual.detach())
    for parts, wanted in ((extra, residual + bias + source @ weight), ((None, None), source @ weight)):
        got = linear(rows, x.detach(), weight.detach(), "ieee", parts, how)
        got[LIMIT:] = 7.0  # not initialised
        assert_rows(got, wanted)


def test_linear_refuses_what_does_not_fit():
    x = normal(10, 64, seed=0).detach()
    with pytest.raises(AssertionError, match="linear"):
        linear(Rows(count(10), 10), x, normal(32, 64, seed=1).detach(), "ieee")
    with pytest.raises(AssertionError, match="dense"):
        linear(Rows(count(10), 10), x[:, :32], normal(32, 64, seed=1).detach(), "ieee")


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("gather", [False, True])
def test_sums_of_sorted_rows(width, gather):
    sizes = [0, 3, 17, 0, 40, 15]
    starts = torch.tensor(np.cumsum([0, *sizes]), dtype=torch.int32, device=DEVICE)
    table, index = normal(ROOM, 2 * width, seed=0), integers(LIMIT, high=ROOM, seed=1)
    values = table[:, width:]
    rows = values[index.long()] if gather else values[:LIMIT]
    wanted = torch.stack([part.sum(dim=0) for part in torch.split(rows, sizes)])
    out = blank(8, 3 * width)
    over = Segments(Rows(count(6), 8), starts, LIMIT)
    columns = out[:, width : 2 * width]
    sum_segments(over, values.detach(), columns, index if gather else None)
    assert_rows(columns, wanted, limit=6)
    sum_segments(over, values.detach(), columns, index if gather else None, add=True)
    assert_rows(columns, 2 * wanted, limit=6)
    assert bool((out[:, :width] == 7.0).all()) and bool((out[:, 2 * width :] == 7.0).all())


@pytest.fixture(scope="module")
def edge_case():
    edges = torch.cat([integers(2, ROOM, high=9, seed=0), integers(2, ROOM, high=12, seed=1)])
    edges[3] -= 1  # some are no bonds
    return edges, normal(ROOM, 32, seed=2), normal(9, 512, seed=3), normal(11, 128, seed=4)


def edge_messages(layer, weights, edge_case, has_bonds):
    """First layer's outputs and messages in torch; the bias of the first layer comes with the table of centres."""
    edges, basis, nodes, updates = edge_case
    centre, neighbour, bond = edges[0].long(), edges[1].long(), edges[3].long()
    hidden = torch_linear(basis[:, :31], tensor(layer.edge_basis)) + nodes[centre, :128] + nodes[neighbour, 128:256]
    if has_bonds:
        hidden = hidden + torch.where((bond >= 0)[:, None], updates[bond.clamp(min=0)], 0.0)
    weight = torch_linear(basis[:, :31], tensor(weights.atom_weight))
    return hidden, two_layers(hidden, layer) * weight


@pytest.mark.parametrize("has_bonds", [False, True])
def test_atom_messages_and_their_gradients(weights, packed, edge_case, has_bonds):
    number = 2 if has_bonds else 0
    edges, basis, nodes, updates = edge_case
    hidden, messages = edge_messages(weights.atom_layers[number], weights, edge_case, has_bonds)
    packs = packed.edge_packs[number], packed.atom_packs[number]
    constants = {"EDGES": ROOM, "NODE_STRIDE": 512, "HAS_BONDS": has_bonds}
    arguments = (count(), edges, basis, nodes, updates, *packs)
    got = blank(ROOM, 64)
    run(atom_messages, *arguments, got, **constants)
    assert_rows(got, messages)

    of_sums, of_first, of_basis = normal(9, 64, seed=5), blank(ROOM, 128), blank(ROOM, 32)
    energy = (messages[:LIMIT] * of_sums.detach()[edges[0, :LIMIT].long()]).sum()
    wanted = torch.autograd.grad(energy, [hidden, basis])
    for add in (False, True):
        run(atom_messages_backward, *arguments, of_sums, of_first, of_basis, ADD=add, **constants)
        assert_rows(of_first, wanted[0])
        assert_rows(of_basis, (1 + add) * wanted[1])


@pytest.fixture(scope="module")
def angle_case():
    angles = torch.cat([integers(2, ROOM, high=14, seed=0), integers(2, ROOM, high=6, seed=1)])
    return angles, normal(ROOM, 64, seed=2), normal(14, 512, seed=3), normal(6, 256, seed=4), normal(14, 64, seed=5)


def angle_hidden(layer, angle_case) -> torch.Tensor:
    angles, features, bonds, nodes, _ = angle_case
    first, second, centre = (row.long() for row in angles[:3])
    own = torch_linear(features, tensor(layer.angle))
    return own + bonds[first, 256:384] + bonds[second, 384:] + nodes[centre, 128:]


def angle_tables(angle_case) -> tuple[torch.Tensor, ...]:
    angles, features, bonds, nodes, _ = angle_case
    return count(), angles, features, bonds.detach()[:, 256:], nodes.detach()[:, 128:]


ANGLE_CONSTANTS = {"ANGLES": ROOM, "BOND_STRIDE": 512, "NODE_STRIDE": 256}


def test_bond_messages_and_their_gradients(weights, packed, angle_case):
    layer = weights.bond_layers[1]
    angles, features, _, _, bond_weights = angle_case
    first, second = angles[0].long(), angles[1].long()
    hidden = angle_hidden(layer, angle_case)
    value = two_layers(hidden, layer)
    weight_1, weight_2 = bond_weights[first], bond_weights[second]
    messages = value * weight_1 * weight_2
    arguments = (*angle_tables(angle_case), bond_weights, packed.bond_angles[1], packed.bond_packs[1])
    got = blank(ROOM, 64)
    run(bond_messages, *arguments, got, **ANGLE_CONSTANTS)
    assert_rows(got, messages)

    of_sums = normal(14, 64, seed=6)
    energy = (messages[:LIMIT] * of_sums.detach()[first[:LIMIT]]).sum()
    wanted = torch.autograd.grad(energy, [hidden, weight_1, weight_2, features])
    of_first, of_weights, of_features = blank(ROOM, 128), blank(ROOM, 128), blank(ROOM, 64)
    for add in (False, True):
        outputs = (of_sums, of_first, of_weights, of_features)
        run(bond_messages_backward, *arguments, *outputs, ADD=add, **ANGLE_CONSTANTS)
        assert_rows(of_first, wanted[0])
        assert_rows(of_weights, torch.cat(wanted[1:3], dim=1))
        assert_rows(of_features, (1 + add) * wanted[3])


def test_angle_updates_and_their_gradients(weights, packed, angle_case):
    layer = weights.angle_layers[1]
    features = angle_case[1]
    hidden = angle_hidden(layer, angle_case)
    updated = features + gated(hidden[:, :64], hidden[:, 64:], layer.norm)
    arguments = (*angle_tables(angle_case), packed.angle_angles[1], packed.angle_norms[1])
    got = blank(ROOM, 64)
    run(angle_messages, *arguments, got, **ANGLE_CONSTANTS)
    assert_rows(got, updated)

    upstream = normal(ROOM, 64, seed=6).detach()
    wanted = torch.autograd.grad((updated * upstream)[:LIMIT].sum(), [hidden, features])
    of_features, of_first = upstream.clone(), blank(ROOM, 128)
    of_features[LIMIT:] = 7.0
    run(angle_messages_backward, *arguments, of_features, of_first, **ANGLE_CONSTANTS)
    assert_rows(of_first, wanted[0])
    assert_rows(of_features, wanted[1])


def test_readout_and_its_gradient(weights, packed):
    x = normal(ROOM, 64, seed=0)
    scale, shift = tensor(weights.readout_scale), tensor(weights.readout_shift)
    y = torch.nn.functional.layer_norm(x, (64,), scale, shift, LAYER_NORM_EPS)
    *hidden, last = weights.readout
    for weight, bias in hidden:
        y = silu(torch_linear(y, tensor(weight), tensor(bias)))
    energies = torch_linear(y, tensor(last[0]), tensor(last[1]))[:, 0]
    (wanted,) = torch.autograd.grad(energies[:LIMIT].sum(), x)
    sites, gradients = blank(ROOM), blank(ROOM, 64)
    run(readout, x, packed.readout, sites, gradients, LIMIT)
    assert_rows(sites, energies)
    assert_rows(gradients, wanted)


def torch_radial(lengths, frequencies, radius) -> torch.Tensor:
    x = lengths[:, None] / radius
    envelope = torch.where(x < 1, 1 - 45 * x**8 + 80 * x**9 - 36 * x**10, 0.0)
    return envelope * np.sqrt(2 / radius) * torch.sin(frequencies * x) / lengths[:, None]


@pytest.mark.parametrize("radius", [3.0, 6.0])
def test_radial_basis_and_its_slope(packed, radius):
    frequencies = packed.frequencies3 if radius == 3.0 else packed.frequencies6
    lengths = torch.linspace(1.0, 1.02 * radius, ROOM, dtype=torch.float64, device=DEVICE, requires_grad=True)
    wanted = torch_radial(lengths, frequencies, radius)
    basis, gradient, slopes = blank(ROOM, 32), normal(ROOM, 32, seed=0), blank(ROOM)
    launch_radial = {"CAPACITY": ROOM, "RADIUS": radius, "BLOCK": BLOCK}
    grid = (tiles(ROOM, BLOCK),)
    launch(radial_rows, grid, (count(), lengths.detach(), frequencies, basis), launch_radial)
    assert_rows(basis, wanted)
    (slope,) = torch.autograd.grad((wanted * gradient)[:LIMIT].sum(), lengths)
    arguments = (count(), lengths.detach(), frequencies, gradient.detach(), slopes)
    for add in (False, True):
        launch(radial_slopes, grid, arguments, launch_radial | {"ADD": add})
        assert_rows(slopes, (1 + add) * slope)


def test_pairs_at_the_cutoff_weigh_nothing(packed):
    lengths = torch.tensor([3.0, 3.0001, 2.9999], dtype=torch.float64, device=DEVICE)
    basis = blank(3, 32)
    constants = {"CAPACITY": 3, "RADIUS": 3.0, "BLOCK": 16}
    launch(radial_rows, (1,), (count(3), lengths, packed.frequencies3, basis), constants)
    assert bool((basis[:2] == 0.0).all())
    # u falls as 120 (1 - x)^3: 4e-12 at a distance of 1e-4.
    assert 0 < float(basis[2].abs().max()) < 1e-11


def test_angular_basis_and_its_slope(weights, packed):
    cosines = torch.linspace(-1.0, 0.999, ROOM, dtype=torch.float64, device=DEVICE, requires_grad=True)
    theta = torch.acos(cosines * (1 - 1e-6))
    waves = tensor(weights.angle_frequencies) * theta[:, None]
    constant = torch.full_like(theta, float(np.float32(1) / np.sqrt(np.float32(2))))[:, None]
    wanted = torch.cat([constant, torch.sin(waves), torch.cos(waves), constant * 0], dim=1) / np.sqrt(np.pi)
    basis, gradient, slopes = blank(ROOM, 32), normal(ROOM, 32, seed=0), blank(ROOM)
    grid, constants = (tiles(ROOM, BLOCK),), {"CAPACITY": ROOM, "BLOCK": BLOCK}
    launch(angle_rows, grid, (count(), theta.detach(), packed.waves, basis), constants)
    assert_rows(basis, wanted)
    (slope,) = torch.autograd.grad((wanted * gradient)[:LIMIT].sum(), cosines)
    launch(angle_slopes, grid, (count(), theta.detach(), packed.waves, gradient.detach(), slopes), constants)
    # 1 / sin(theta) is 700 at 180 degrees and carries the rounding of theta.
    assert float((slopes - slope)[:LIMIT].abs().max()) < 1e-9 * float(slope.abs().max())
