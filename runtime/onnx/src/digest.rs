//! Digests of tensors: entries of a tensor's metadata.

use bayplan_graph::Digest;

use crate::generated::onnx::TensorProto;

/// The key of an entry of `TensorProto.metadata_props`: its value is the [`Digest`] of the tensor's bytes as they lie in the
/// file. It stands at the tensor, so that it goes where the tensor goes: a tool that makes another tensor of it drops it.
pub(crate) const KEY: &str = "bayplan.xxh3";

/// What the bytes of a tensor hash to, where it says so.
///
/// # Errors
/// The entry is no digest.
pub(crate) fn of(tensor: &TensorProto) -> Result<Option<Digest>, String> {
    let entry = tensor.metadata_props.iter().find(|entry| entry.key.as_deref() == Some(KEY));
    let text = entry.map(|entry| entry.value.as_deref().unwrap_or_default());
    let read = |text: &str| {
        let shown: String = text.chars().take(60).collect();
        text.parse().map_err(|e| format!("its {KEY} `{shown}` is none: {e}"))
    };
    text.map(read).transpose()
}

/// Checks bytes that are at hand.
///
/// # Errors
/// They have another digest.
pub(crate) fn check(bytes: &[u8], digest: Option<Digest>) -> Result<(), String> {
    match digest.filter(|&digest| digest != Digest::of(bytes)) {
        None => Ok(()),
        Some(digest) => Err(format!(
            "its bytes have the digest {}, not {digest}: the file is damaged, copy or download it again",
            Digest::of(bytes)
        )),
    }
}
