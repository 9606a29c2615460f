// Attention over trees of tokens, forward, bf16 in, f32 out and accumulation, on tensor cores (mma.sync m16n8k16, compute 8.0 on).
//
// The CUDA twin of attention::forward. One thread block of 4 warps takes 64 query rows of one QueryBlock and one head; it walks over
// the block's spans, then causally over its own rows, in tiles of 64 keys with a running softmax. A warp owns 16 query rows.
// The pattern of the tree reaches the device as flat arrays (what `QueryBlock` holds), so the host needs no other knowledge of it.
//
// Compile-checked with NVRTC (xtask/nvrtc_check.py); it has not run on a device yet.
// Shapes: query [Tq, query_stride], key and value [Tk, key_stride], out [Tq, n_heads * HEAD_DIM], log_sum_exp [Tq, n_heads].

#ifndef HEAD_DIM
#define HEAD_DIM 64
#endif

typedef unsigned short bf16;
typedef unsigned int u32;

#define MINUS_INFINITY __int_as_float(0xff800000)
constexpr int KEYS = 64;      // keys of a tile
constexpr int PAD = 8;        // keeps rows of shared memory on different banks
constexpr int PITCH = HEAD_DIM + PAD;

struct Tile {                 // a run of query rows of one QueryBlock, at most 64 long: 16 a warp
    u32 query_start, query_length;
    u32 first_span, n_spans;  // into the span array
    u32 causal_start;         // key row of the tile's first query
    u32 causal_before;        // rows of its own segment before it, all visible
};
struct Span { u32 start, length; };

__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ u32 pack(float low, float high) {
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}
__device__ __forceinline__ u32 pair(const bf16* p) { return *reinterpret_cast<const u32*>(p); }

// Rows [first, first + n) of a strided matrix into shared memory; rows past n are zero.
__device__ void load_rows(bf16* shared, const bf16* global, u32 stride, u32 first, u32 n) {
    for (u32 i = threadIdx.x; i < KEYS * HEAD_DIM / 2; i += blockDim.x) {
        u32 row = i / (HEAD_DIM / 2), column = 2 * (i % (HEAD_DIM / 2));
        u32 value = row < n ? pair(global + (unsigned long long)(first + row) * stride + column) : 0;
        *reinterpret_cast<u32*>(shared + row * PITCH + column) = value;
    }
}

struct State {                // of a warp's 16 rows, as mma lays them over its lanes: two rows a lane
    float out[HEAD_DIM / 8][4];
    float highest[2], sum[2];
};

// One tile of keys. visible[r]: how many of its keys row r of the lane may see.
__device__ void attend(State& state, const u32 (&query)[HEAD_DIM / 16][4], const bf16* key, const bf16* value, const int (&visible)[2], float scale) {
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    float score[KEYS / 8][4];
    for (int n = 0; n < KEYS / 8; n++) {
        for (int i = 0; i < 4; i++) score[n][i] = 0.f;
        for (int k = 0; k < HEAD_DIM / 16; k++) {
            const bf16* row = key + (n * 8 + group) * PITCH + k * 16 + quad * 2;
            u32 b[2] = {pair(row), pair(row + 8)};
            mma(score[n], query[k], b);
        }
    }
    for (int half = 0; half < 2; half++) {
        float highest = state.highest[half];
        for (int n = 0; n < KEYS / 8; n++)
            for (int i = 0; i < 2; i++) {
                float& s = score[n][2 * half + i];
                s = n * 8 + quad * 2 + i < visible[half] ? s * scale : MINUS_INFINITY;
                highest = fmaxf(highest, s);
            }
        for (int step = 1; step < 4; step *= 2) highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, step));
        // A row that has seen nothing yet keeps -inf; exp of (-inf) - (-inf) must not be taken.
        float base = highest == MINUS_INFINITY ? 0.f : highest, factor = __expf(state.highest[half] - base), sum = 0.f;
        for (int n = 0; n < KEYS / 8; n++)
            for (int i = 0; i < 2; i++) sum += score[n][2 * half + i] = __expf(score[n][2 * half + i] - base);
        for (int step = 1; step < 4; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
        state.sum[half] = state.sum[half] * factor + sum;
        state.highest[half] = highest;
        for (int d = 0; d < HEAD_DIM / 8; d++) { state.out[d][2 * half] *= factor; state.out[d][2 * half + 1] *= factor; }
    }
    for (int k = 0; k < KEYS / 16; k++) {
        u32 a[4] = {pack(score[2 * k][0], score[2 * k][1]), pack(score[2 * k][2], score[2 * k][3]),
                    pack(score[2 * k + 1][0], score[2 * k + 1][1]), pack(score[2 * k + 1][2], score[2 * k + 1][3])};
        for (int d = 0; d < HEAD_DIM / 8; d++) {
            const bf16* column = value + (k * 16 + quad * 2) * PITCH + d * 8 + group;
            u32 b[2] = {column[0] | (u32)column[PITCH] << 16, column[8 * PITCH] | (u32)column[9 * PITCH] << 16};
            mma(state.out[d], a, b);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128)
tree_attention_forward(const Tile* tiles, const Span* spans, const bf16* query, u32 query_stride, const bf16* key, const bf16* value, u32 key_stride,
                       float* out, float* log_sum_exp, u32 n_heads, u32 heads_per_key, float scale) {
    __shared__ bf16 keys[KEYS * PITCH], values[KEYS * PITCH];
    const Tile tile = tiles[blockIdx.x];
    const u32 head = blockIdx.y;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    query += head * HEAD_DIM;
    key += head / heads_per_key * HEAD_DIM;
    value += head / heads_per_key * HEAD_DIM;

    u32 rows[2] = {u32(warp * 16 + group), u32(warp * 16 + group + 8)};
    u32 a[HEAD_DIM / 16][4];
    for (int k = 0; k < HEAD_DIM / 16; k++)
        for (int i = 0; i < 4; i++) {
            u32 row = rows[i % 2], column = k * 16 + quad * 2 + (i / 2) * 8;
            a[k][i] = row < tile.query_length ? pair(query + (unsigned long long)(tile.query_start + row) * query_stride + column) : 0;
        }
    State state = {};
    state.highest[0] = state.highest[1] = MINUS_INFINITY;

    // The spans are seen whole; the run of own rows causally, as the last "span".
    for (u32 s = 0; s <= tile.n_spans; s++) {
        bool own = s == tile.n_spans;
        Span span = own ? Span{tile.causal_start - tile.causal_before, tile.causal_before + tile.query_length} : spans[tile.first_span + s];
        for (u32 first = 0; first < span.length; first += KEYS) {
            u32 n = min(u32(KEYS), span.length - first);
            __syncthreads();
            load_rows(keys, key, key_stride, span.start + first, n);
            load_rows(values, value, key_stride, span.start + first, n);
            __syncthreads();
            int visible[2];
            for (int half = 0; half < 2; half++) {
                int causal = int(tile.causal_before + rows[half] + 1) - int(first);
                visible[half] = own ? max(0, min(int(n), causal)) : int(n);
            }
            attend(state, a, keys, values, visible, scale);
        }
    }
    for (int half = 0; half < 2; half++) {
        if (rows[half] >= tile.query_length) continue;
        unsigned long long row = tile.query_start + rows[half];
        float inverse = 1.f / state.sum[half];
        for (int d = 0; d < HEAD_DIM / 8; d++)
            for (int i = 0; i < 2; i++)
                out[(row * n_heads + head) * HEAD_DIM + d * 8 + quad * 2 + i] = state.out[d][2 * half + i] * inverse;
        if (quad == 0) log_sum_exp[row * n_heads + head] = state.highest[half] + __logf(state.sum[half]);
    }
}
