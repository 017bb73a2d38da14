//! What the validation layers, and this crate's own leak check, have to say.

use std::collections::VecDeque;
use std::ffi::{CStr, c_void};
use std::sync::Mutex;

use ash::vk;

use crate::lock;

/// Messages kept; later ones are only counted. One broken loop can produce millions.
const MAX_MESSAGES: usize = 1024;

/// Bytes kept of one message.
const MAX_TEXT: usize = 8 * 1024;

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Legal but doubtful.
    Warning,
    /// Against the specification.
    Error,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's name: a VUID, a `SYNC-HAZARD`, or `bayplan-leaked-object`.
    pub id: String,
    /// The text, as the layer gave it: escape it before it is displayed.
    pub text: String,
}

/// A bounded list of messages, filled from any thread.
#[derive(Debug, Default)]
pub(crate) struct MessageLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    kept: VecDeque<Message>,
}

impl MessageLog {
    pub(crate) fn push(&self, severity: Severity, id: &str, text: &str) {
        let mut state = lock(&self.state);
        state.count += 1;
        if state.kept.len() < MAX_MESSAGES {
            let message = Message { severity, id: cut(id).to_owned(), text: cut(text).to_owned() };
            state.kept.push_back(message);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        lock(&self.state).count
    }

    pub(crate) fn list(&self) -> Vec<Message> {
        lock(&self.state).kept.iter().cloned().collect()
    }
}

/// The first [`MAX_TEXT`] bytes of `text`, cut between characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Receives messages from the debug messenger whose user data is a [`MessageLog`].
///
/// # Safety
/// To be called by Vulkan only, as a `PFN_vkDebugUtilsMessengerCallbackEXT`, with user data that points to a
/// [`MessageLog`] alive for the call.
pub(crate) unsafe extern "system" fn receive(
    severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _types: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    log: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: the messenger was made with a pointer to a MessageLog that outlives it (see Instance).
    let log = unsafe { log.cast::<MessageLog>().as_ref() };
    // SAFETY: Vulkan passes valid callback data for the length of the call.
    let data = unsafe { data.as_ref() };
    if let (Some(log), Some(data)) = (log, data) {
        let severity = if severity.contains(vk::DebugUtilsMessageSeverityFlagsEXT::ERROR) {
            Severity::Error
        } else {
            Severity::Warning
        };
        // SAFETY: both are null or NUL-terminated strings (VUID-VkDebugUtilsMessengerCallbackDataEXT-pMessage-parameter,
        // -pMessageIdName-parameter), alive for the call.
        let (id, text) = unsafe { (string(data.p_message_id_name), string(data.p_message)) };
        log.push(severity, &id, &text);
    }
    vk::FALSE // the call that caused the message goes on
}

/// A C string as text.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string.
unsafe fn string(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let log = MessageLog::default();
        for i in 0..MAX_MESSAGES + 10 {
            log.push(Severity::Error, "id", &format!("message {i}"));
        }
        assert_eq!(log.count(), MAX_MESSAGES as u64 + 10);
        assert_eq!(log.list().len(), MAX_MESSAGES);
        assert_eq!(log.list()[0].text, "message 0");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        assert_eq!(cut(&text).len(), MAX_TEXT);
        let odd = format!("a{text}");
        assert_eq!(cut(&odd).len(), MAX_TEXT - 1);
        assert_eq!(cut("short"), "short");
    }
}
