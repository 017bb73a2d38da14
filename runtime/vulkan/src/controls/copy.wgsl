// Copies words. A binding's array is wrapped in a struct: of a bare array, some validation layers take writes for reads.
struct Words { data: array<u32> }
@group(0) @binding(0) var<storage, read> source: Words;
@group(0) @binding(1) var<storage, read_write> target_: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i < min(arrayLength(&source.data), arrayLength(&target_.data))) {
        target_.data[i] = source.data[i];
    }
}
