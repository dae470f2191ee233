// One instruction set's build of the gated blocks with their change along a direction: compiled several times, as
// potentials/engine/kernels.cpp.
#include "block.hpp"

#include "along.hpp"

namespace halion {
namespace HALION_TARGET {
namespace {

// A weight and its transpose as `multiply` reads them.
struct Second {
    alignas(64) float packed[2][kWidth * kWidth], back[2][kWidth * kWidth];

    static void pack(const float* values, int depth_step, int column_step, float* packed) {
        for (int column = 0; column < kWidth; column += kPanel)
            for (int k = 0; k < kWidth; ++k)
                for (int c = column; c < column + kPanel; ++c)
                    *packed++ = values[k * depth_step + c * column_step];
    }
    explicit Second(const Block& block) {
        if (!block.second) return;
        for (int head = 0; head < 2; ++head) {
            const float* weight = block.second + head * kWidth * kWidth;  // outputs x inputs
            pack(weight, 1, kWidth, packed[head]);
            pack(weight, kWidth, 1, back[head]);
        }
    }
};

// Values first, change after them.
struct Pairs {
    alignas(64) float half[2][kTile * kPair];
};

struct Tile {
    Pairs mixed, hidden, z;
    alignas(64) float inverse[2 * kTile];
};

inline const float* row_of(const Table& table, int which, long row, int half, int width) {
    return table.values + (half * table.rows + table.place[which][row]) * width;
}

void gather(const Block& block, long start, int rows, Pairs& mixed) {
    for (int half = 0; half < 2; ++half)
        for (int r = 0; r < rows; ++r) {
            const float *a = row_of(block.table[0], 0, start + r, half, kPair),
                        *b = row_of(block.table[1], 0, start + r, half, kPair),
                        *c = row_of(block.table[2], 0, start + r, half, kPair);
            float* total = mixed.half[half] + r * kPair;
            for (int k = 0; k < kPair; k += kLanes) store(total + k, load(a + k) + load(b + k) + load(c + k));
            if (!block.dense) continue;
            const float* dense = block.dense + (half * block.n_rows + start + r) * kPair;
            for (int k = 0; k < kPair; k += kLanes) add(total + k, load(dense + k));
        }
}

void forward_tile(const Block& block, const Second& second, long start, int rows, Tile& tile) {
    gather(block, start, rows, block.second ? tile.mixed : tile.z);
    if (block.second) {
        for (int k = 0; k < rows * kPair; k += kLanes) {
            const Silu a(load(tile.mixed.half[0] + k));
            store(tile.hidden.half[0] + k, a.value);
            store(tile.hidden.half[1] + k, a.slope * load(tile.mixed.half[1] + k));
        }
        for (int half = 0; half < 2; ++half)
            for (int head = 0; head < 2; ++head)
                multiply(rows, tile.hidden.half[half] + head * kWidth, kPair,
                         Matrix{second.packed[head], kWidth, kWidth},
                         Start{half ? kZeros : block.bias2 + head * kWidth, 0}, tile.z.half[half] + head * kWidth,
                         kPair);
    }
    inverse_rms(rows, tile.z.half[0], tile.inverse);
}

inline Row row_at(const Tile& tile, int r) {
    return Row(tile.z.half[0] + r * kPair, tile.z.half[1] + r * kPair, tile.inverse + 2 * r);
}

// The weight of a row's message and its change: one row of the table, or the product of two.
struct Weight {
    Vec value[kVectors], change[kVectors];
    Weight(const Block& block, long row) {
        const float *one = row_of(block.weight, 0, row, 0, kWidth), *moved = row_of(block.weight, 0, row, 1, kWidth);
        for (int v = 0; v < kVectors; ++v) {
            value[v] = load(one + v * kLanes);
            change[v] = load(moved + v * kLanes);
        }
        if (!block.weight.place[1]) return;
        one = row_of(block.weight, 1, row, 0, kWidth);
        moved = row_of(block.weight, 1, row, 1, kWidth);
        for (int v = 0; v < kVectors; ++v) {
            change[v] = change[v] * load(one + v * kLanes) + value[v] * load(moved + v * kLanes);
            value[v] = value[v] * load(one + v * kLanes);
        }
    }
};

inline long out_row(const Block& block, long row) { return block.out_place ? block.out_place[row] : row; }

void forward(const Block& block, long begin, long end, float* out) {
    const Second second(block);
    Tile tile;
    for (long start = begin; start < end; start += kTile) {
        const int rows = end - start < kTile ? static_cast<int>(end - start) : kTile;
        forward_tile(block, second, start, rows, tile);
        for (int r = 0; r < rows; ++r) {
            Vec value[kVectors], change[kVectors];
            gate_along(row_at(tile, r), block, value, change);
            float* sum_of = out + out_row(block, start + r) * kWidth;
            float* change_of = sum_of + block.out_rows * kWidth;
            if (block.weight.values) {
                const Weight weight(block, start + r);
                for (int v = 0; v < kVectors; ++v) {
                    change[v] = change[v] * weight.value[v] + value[v] * weight.change[v];
                    value[v] = value[v] * weight.value[v];
                }
            }
            for (int v = 0; v < kVectors; ++v) {
                add(sum_of + v * kLanes, value[v]);
                add(change_of + v * kLanes, change[v]);
            }
        }
    }
}

// Through the weight of one row: dy, dy' from the gradients of the weighted message (in place), and the gradients of
// the weight, shared out to its one or two rows.
void weight_back(const Block& block, long row, const Row& forward_row, Vec* dy, Vec* dchange, float* grad) {
    const Weight weight(block, row);
    Vec value[kVectors], change[kVectors];
    gate_along(forward_row, block, value, change);
    for (int v = 0; v < kVectors; ++v) {
        const Vec of_value = dy[v] * value[v] + dchange[v] * change[v], of_change = dchange[v] * value[v];
        dy[v] = dy[v] * weight.value[v] + dchange[v] * weight.change[v];
        dchange[v] = dchange[v] * weight.value[v];
        if (!grad) continue;
        const int c = v * kLanes;
        const long half = block.weight.rows * kWidth;
        for (int which = 0; which < 2 && block.weight.place[which]; ++which) {
            float* into = grad + block.weight.place[which][row] * kWidth + c;
            if (!block.weight.place[1]) {
                add(into, of_value);
                add(into + half, of_change);
                continue;
            }
            const float *other = row_of(block.weight, 1 - which, row, 0, kWidth) + c,
                        *moved = row_of(block.weight, 1 - which, row, 1, kWidth) + c;
            add(into, of_value * load(other) + of_change * load(moved));
            add(into + half, of_change * load(other));
        }
    }
}

void gates_back(const Block& block, long start, int rows, const Tile& tile, const float* out_grad, Pairs& dz,
                const Gradients& into) {
    for (int r = 0; r < rows; ++r) {
        const Row row = row_at(tile, r);
        const float* grad = out_grad + out_row(block, start + r) * kWidth;
        Vec dy[kVectors], dchange[kVectors];
        for (int v = 0; v < kVectors; ++v) {
            dy[v] = load(grad + v * kLanes);
            dchange[v] = load(grad + block.out_rows * kWidth + v * kLanes);
        }
        if (block.weight.values) weight_back(block, start + r, row, dy, dchange, into.weight);
        RowGradient back;
        gate_along_back(row, block, dy, dchange, back, into.scale, into.shift);
        normal_along_back(row, back, dz.half[0] + r * kPair, dz.half[1] + r * kPair);
    }
}

// weight gradient (inputs x outputs) += [hidden; its change]^T [dz; dz'].
void second_gradient(int rows, const Tile& tile, const Pairs& dz, float* const* total) {
    alignas(64) float turned[kWidth * 2 * kTile], packed[2 * kTile * kWidth];
    const int depth = 2 * rows;
    for (int head = 0; head < 2; ++head) {
        for (int half = 0; half < 2; ++half)
            for (int r = 0; r < rows; ++r)
                for (int k = 0; k < kWidth; ++k)
                    turned[k * 2 * kTile + half * rows + r] = tile.hidden.half[half][r * kPair + head * kWidth + k];
        float* next = packed;
        for (int column = 0; column < kWidth; column += kPanel)
            for (int half = 0; half < 2; ++half)
                for (int r = 0; r < rows; ++r, next += kPanel)
                    __builtin_memcpy(next, dz.half[half] + r * kPair + head * kWidth + column, sizeof(float) * kPanel);
        multiply(kWidth, turned, 2 * kTile, Matrix{packed, depth, kWidth}, Start{total[head], kWidth}, total[head],
                 kWidth);
    }
}

// Through second layer and SiLU: dz becomes the gradient of the first layer's sum.
void hidden_back(const Block& block, const Second& second, int rows, const Tile& tile, Pairs& dz, Pairs& dhidden,
                 float* dbias) {
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < kPair; c += kLanes) add(dbias + c, load(dz.half[0] + r * kPair + c));
    for (int half = 0; half < 2; ++half)
        for (int head = 0; head < 2; ++head)
            multiply(rows, dz.half[half] + head * kWidth, kPair, Matrix{second.back[head], kWidth, kWidth},
                     Start{kZeros, 0}, dhidden.half[half] + head * kWidth, kPair);
    for (int k = 0; k < rows * kPair; k += kLanes) {
        const Silu a(load(tile.mixed.half[0] + k));
        const Vec of_value = load(dhidden.half[0] + k), of_change = load(dhidden.half[1] + k);
        store(dz.half[0] + k, of_value * a.slope + of_change * a.bend * load(tile.mixed.half[1] + k));
        store(dz.half[1] + k, of_change * a.slope);
    }
}

void scatter(const Block& block, long start, int rows, const Pairs& grad, const Gradients& into) {
    for (int half = 0; half < 2; ++half)
        for (int r = 0; r < rows; ++r) {
            const float* row = grad.half[half] + r * kPair;
            for (int t = 0; t < 3; ++t) {
                const Table& table = block.table[t];
                float* total = into.table[t] + (half * table.rows + table.place[0][start + r]) * kPair;
                for (int c = 0; c < kPair; c += kLanes) add(total + c, load(row + c));
            }
            if (into.dense)
                __builtin_memcpy(into.dense + (half * block.n_rows + start + r) * kPair, row, sizeof(float) * kPair);
        }
}

void backward(const Block& block, long begin, long end, const float* out_grad, const Gradients& into) {
    const Second second(block);
    Tile tile;
    Pairs dz, dhidden;
    alignas(64) float weight[2][kWidth * kWidth] = {};
    float* const total[2] = {weight[0], weight[1]};
    for (long start = begin; start < end; start += kTile) {
        const int rows = end - start < kTile ? static_cast<int>(end - start) : kTile;
        forward_tile(block, second, start, rows, tile);
        gates_back(block, start, rows, tile, out_grad, dz, into);
        if (block.second) {
            if (into.second) second_gradient(rows, tile, dz, total);
            hidden_back(block, second, rows, tile, dz, dhidden, into.bias2);
        }
        scatter(block, start, rows, dz, into);
    }
    if (!into.second) return;
    for (int head = 0; head < 2; ++head)
        for (int k = 0; k < kWidth; ++k)
            for (int c = 0; c < kWidth; ++c) into.second[(head * kWidth + c) * kWidth + k] += weight[head][k * kWidth + c];
}

}  // namespace

#define HALION_TEXT(x) #x
#define HALION_NAME(x) HALION_TEXT(x)
extern const BlockKernels block_kernels;
const BlockKernels block_kernels{HALION_NAME(HALION_TARGET), forward, backward};

}  // namespace HALION_TARGET
}  // namespace halion
