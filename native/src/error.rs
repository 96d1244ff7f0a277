//! Failures as people see them: a stable code for programs and a message without C++ source locations.

/// What went wrong. Crosses into JavaScript as `CODE: message`, which the TypeScript face turns into an `OrtuneError`.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    message: String,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub const fn code(&self) -> &'static str {
        self.code
    }

    pub fn into_message(self) -> String {
        self.message
    }

    /// ONNX Runtime's own words, without the source locations in front of them.
    pub fn from_ort(doing: &str, message: &str) -> Self {
        Self::new(
            "ORT_FAILED",
            format!("ONNX Runtime could not {doing}: {}", strip_locations(&strip_cuda_location(message))),
        )
    }
}

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> Self {
        Self::from_reason(format!("{}: {}", failure.code, failure.message))
    }
}

/// CUDA's failures end with ` ; GPU=0 ; hostname=... ; file=... ; line=67 ; expr=cudaMalloc(&p, n);`.
fn strip_cuda_location(message: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(message.len()), message);
    while let Some((before, location)) = rest.split_once(" ; GPU=") {
        kept.push_str(before);
        let expression = location.split_once("; expr=").map_or("", |(_, expression)| expression);
        rest = expression.split_once(';').map_or("", |(_, after)| after);
    }
    kept + rest
}

/// Removes every `/path/file.cc:123 function` from a message of ONNX Runtime, and the condition that failed there.
/// Errors nest, so there can be several, each followed by what that place had to say.
fn strip_locations(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((start, end)) = find_location(rest) {
        kept.push_str(&rest[..start]);
        rest = after_condition(after_function(rest[end..].trim_start()));
    }
    kept.push_str(rest);
    let words: Vec<&str> = kept.split_whitespace().collect();
    // `[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Failed to ...`
    let sentence = match words.as_slice() {
        ["[ONNXRuntimeError]", ":", _, ":", _, ":", sentence @ ..] | sentence => sentence,
    };
    sentence.join(" ")
}

/// Byte range of the first word of the form `path.cc:123`.
fn find_location(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let end = start + word.trim_end().len();
        if is_location(&text[start..end]) {
            return Some((start, end));
        }
        start += word.len();
    }
    None
}

fn is_location(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(file, line)| {
        !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && [".cc", ".cpp", ".h", ".hpp", ".cu", ".cuh"].iter().any(|extension| file.ends_with(extension))
    })
}

/// The text after the function: its bare name, or its signature as GCC prints it, which is qualified and ends with the
/// parenthesis that closes the arguments, then `const`, a lambda's own `::<lambda(...)>` or `[with T = ...]`.
fn after_function(text: &str) -> &str {
    let bare = text.split_once(char::is_whitespace).map_or("", |(_, sentence)| sentence);
    let Some(open) = text.find('(') else { return bare };
    let is_signature = text[..open].rsplit(char::is_whitespace).next().is_some_and(|name| name.contains("::"));
    let Some(mut at) = closing(text, open).filter(|_| is_signature) else { return bare };
    loop {
        let tail = &text[at..];
        let trimmed = tail.trim_start();
        let skipped = at + tail.len() - trimmed.len();
        if trimmed.starts_with("const ") {
            at = skipped + "const".len();
        } else if trimmed.starts_with("[with") || tail.starts_with("::<") || tail.starts_with("::(") {
            let Some(next) = trimmed.find(['[', '<', '(']).and_then(|open| closing(text, skipped + open)) else {
                return trimmed;
            };
            at = next;
        } else {
            return trimmed;
        }
    }
}

/// `count == 2 was false. Two are needed` says all in its second sentence, if it has one.
fn after_condition(text: &str) -> &str {
    match text.split_once(" was false. ") {
        Some((condition, sentence)) if !sentence.trim().is_empty() && find_location(condition).is_none() => sentence,
        _ => text,
    }
}

/// Index just behind the bracket that closes the one at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'<' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            // `->` in a signature closes nothing.
            b'>' if index > 0 && text.as_bytes()[index - 1] != b'-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{strip_cuda_location, strip_locations};

    #[test]
    fn keeps_what_people_can_read() {
        for (message, expected) in [
            ("No graph was found", "No graph was found"),
            ("/build/o/file.cc:12 ToFile Failed to save (disk full)", "Failed to save (disk full)"),
            (
                "/build/o/module.cc:3 onnxruntime::common::Status onnxruntime::api::Module::Step(const std::vector<OrtValue>&) const it != end() was false. No input. ",
                "No input.",
            ),
            (
                "Exception: /b/a.h:1 onnxruntime::Node::Node(std::function<void()>) [with T = int] Outer. /b/b.cc:22 void onnxruntime::f(int) inner",
                "Exception: Outer. inner",
            ),
            ("/b/b.cc:22 void onnxruntime::f(int) count == 2 was false. ", "count == 2 was false."),
            ("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Failed to load", "Failed to load"),
        ] {
            assert_eq!(strip_locations(message), expected);
        }
    }
    #[test]
    fn keeps_what_cuda_says_without_where_it_said_it() {
        let failure = "CUDA failure 2: out of memory ; GPU=0 ; hostname=vm ; file=/b/o/a.cc ; line=67 ; expr=f(&n, 1);";
        assert_eq!(strip_cuda_location(failure), "CUDA failure 2: out of memory");
        assert_eq!(
            strip_cuda_location(&format!("{failure} Then. {failure}")),
            "CUDA failure 2: out of memory Then. CUDA failure 2: out of memory"
        );
        assert_eq!(strip_cuda_location("No kernel"), "No kernel");
    }
}
