// What the parts of the engine hand to each other: plain arrays, no owner. Rows of features are 64 floats or a
// multiple of it, aligned to 64 bytes. "Pair" rows hold core and gate side by side, 128 floats.
#pragma once

namespace halion {

constexpr int kWidth = 64;        // features of an atom, a bond, an angle
constexpr int kPair = 2 * kWidth;  // core and gate of a gated block
constexpr int kInputs = 4 * kPair;  // four first-layer blocks of an atom or a short bond side by side
constexpr int kBasis = 32;        // 31 basis functions and a zero
constexpr int kTile = 48;         // rows that are worked on together: they stay in the first-level cache
constexpr int kAtomsPerItem = 4;  // centres whose edges are one piece of work
constexpr int kElements = 94;
constexpr float kNormEps = 1e-5f;

// Linear layer y = x W + start, W stored as panels of columns: see gemm.hpp.
struct Matrix {
    const float* packed = nullptr;
    int depth = 0, width = 0;
};

// Second layer, normalisation and activation of a gated block; [0] core, [1] gate.
struct GatedWeights {
    Matrix second[2], second_back[2];
    const float *bias2 = nullptr, *scale = nullptr, *shift = nullptr;  // 128 each
};

struct AtomWeights {
    Matrix edge_basis, edge, edge_back, out, out_back;
    GatedWeights gated;
};

struct BondWeights {
    Matrix angle, angle_back, centre_back, out, out_back;
    GatedWeights gated;
};

struct AngleWeights {
    Matrix angle, angle_back, centre_back;
    const float *scale = nullptr, *shift = nullptr;
};

// First-layer blocks are applied where their input is computed, all at once:
// atom_inputs[l], of v before AtomConv l: [centre_l | neighbour_l | centre of BondConv l-1 | centre of AngleUpdate l-1]
// bond_inputs[l], of e before BondConv l: [first_l | second_l | first | second of AngleUpdate l-1]
// The biases go with the atoms. A part that does not exist at l = 0 or l = 3 is left out.
struct Weights {
    Matrix atom_weight, bond_weight, bond_embedding, angle_embedding;
    const double *frequencies6 = nullptr, *frequencies3 = nullptr, *angle_frequencies = nullptr;
    const float *embedding = nullptr, *element_inputs = nullptr;  // (94, 64), (94, 256): l = 0 depends on Z alone
    const double* reference_energy = nullptr;
    Matrix atom_inputs[4], atom_inputs_back[4], bond_inputs[3], bond_inputs_back[3];
    const float* atom_inputs_bias[4] = {};
    AtomWeights atom[4];
    BondWeights bond[3];
    AngleWeights angle[2];
    const float *readout_scale = nullptr, *readout_shift = nullptr;
    Matrix readout[3], readout_back[3];
    const float *readout_bias[3] = {}, *last = nullptr;
    double last_bias = 0;
};

// The graph of a batch. Bonds are undirected; the first n_short of them are shorter than 3 Angstrom. An edge is a
// bond seen from one of its ends; edges are ordered by centre, neighbour, shift. An arm is an edge of a short bond.
// An angle is an ordered pair of different arms of one centre: arm p of n with arm q is the centre's angle
// p (n - 1) + q - (q > p).
struct Graph {
    int n_atoms = 0, n_edges = 0, n_bonds = 0, n_short = 0, n_arms = 0, n_angles = 0;
    const int* element = nullptr;  // of atoms: Z - 1
    // (n_atoms + 1): where an atom's edges, arms, angles begin
    const int *edge_start = nullptr, *arm_start = nullptr, *angle_start = nullptr;
    const int *centre = nullptr, *neighbour = nullptr, *bond = nullptr, *reverse = nullptr;  // of edges
    const int* first_edge = nullptr;                        // of bonds: the edge that `vector` belongs to
    const int *arm_edge = nullptr, *arm_bond = nullptr;     // of arms
    const int* arms_of = nullptr;                           // (n_short, 2): arm of the first edge, of the other
    const int *first = nullptr, *second = nullptr;          // of angles: arms
    const int* angle_item = nullptr;                        // (n_angle_items + 1): centres cut into pieces of work
    int n_angle_items = 0;
    const double *vector = nullptr, *distance = nullptr;    // of bonds: (n_bonds, 3), (n_bonds)
};

// Everything that is computed; l counts layers, "slope" is d/dr or d/dtheta, "grad" is dE/d.
struct Work {
    // (n_atoms, 64); pending: what AngleUpdate adds to the gradient one layer further down
    float *atoms = nullptr, *atom_grad = nullptr, *atom_pending = nullptr;
    float* atom_table[4] = {};       // (n_atoms, 512), see Weights
    float* atom_in_grad = nullptr;   // (n_atoms, 256)
    float *message_weight = nullptr, *message_slope = nullptr;  // (n_bonds, 64): w_a
    float *edge_in[4] = {}, *edge_slope[4] = {};                // (n_bonds, 128): W_e e
    float* edge_z[3] = {};           // (n_edges, 128), before normalisation
    float* last_z = nullptr;         // the same of layer 3, for one piece of work
    long last_z_size = 0;            // of each thread
    float* edge_grad = nullptr;      // (n_edges, 128), of the first layer
    double* edge_pull = nullptr;     // (n_edges): dE/dr through this edge
    float *bonds = nullptr, *bond_start_slope = nullptr;        // (n_short, 64): e; slope of e before the layers
    float *bond_grad = nullptr, *gathered_grad = nullptr;       // (n_short, 64): of e; of the sum over angles
    float *bond_weight = nullptr, *bond_weight_slope = nullptr; // (n_short, 64): w_b
    float* bond_table[3] = {};       // (n_short, 512), see Weights
    double* bond_pull = nullptr;     // (n_short): dE/dr through e before the layers
    float *arm_sum = nullptr, *arm_grad = nullptr;              // (n_arms, 64), (n_arms, 512)
    double *arm_pull = nullptr, *arm_force = nullptr;           // (n_arms): dE/dr; (n_arms, 3): dE/dvector
    float *angles = nullptr, *angle_slope = nullptr, *angle_grad = nullptr;  // (n_angles, 64)
    float *bond_pre[3] = {}, *bond_z[3] = {}, *angle_z[2] = {};              // (n_angles, 128)
    double *site_energy = nullptr, *force = nullptr, *virial = nullptr;      // (n_atoms), (n_atoms, 3), (n_atoms, 9)
};

// Work that is shared out piece by piece: pieces taken, pieces done. One per phase of a job, zero at its start.
struct alignas(64) Progress {
    int taken = 0, done = 0;
};

struct Job {
    static constexpr int kPhases = 64;
    Graph graph;
    const Weights* weights = nullptr;
    Work work;
    Progress* progress = nullptr;          // (kPhases)
    void (*relax)(long spins) = nullptr;   // called while waiting
};

// One instruction set's build of the network.
struct Kernels {
    const char* name;
    int panel;  // columns of a panel of a packed matrix
    void (*run)(const Job& job, int thread);
};

}  // namespace halion
