//! Where reading a single file begins for whoever wants what holds now: at its last keyframe, however long the file is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bayplan_trace::{Index, last_segment};

/// Bytes at the end of a file that are searched, one after the other: a keyframe is written every 4 MiB, behind a plan.
const TAILS: [u64; 3] = [6 << 20, 24 << 20, 96 << 20];
/// Longest index that is read.
const MAX_INDEX: u64 = 1 << 20;

/// Moves to the last segment with a whole head, and returns where that is; to the start of the file where there is a single
/// one, or none near the end.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn seek_to_last_segment(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let at = match read_index(file, len)? {
        Some(index) => index.last_segment().unwrap_or(0),
        None => search(file, len)?,
    };
    file.seek(SeekFrom::Start(at))
}

/// The index at the end of the file, which one has that was ended in order.
fn read_index(file: &mut File, len: u64) -> io::Result<Option<Index>> {
    let tail = read_tail(file, len, 12)?;
    let Some(footer) = Index::footer_len(&tail).filter(|footer| *footer <= len.min(MAX_INDEX)) else {
        return Ok(None);
    };
    Ok(Index::from_footer(&read_tail(file, len, footer)?, len))
}

fn search(file: &mut File, len: u64) -> io::Result<u64> {
    for tail in TAILS {
        let bytes = read_tail(file, len, tail)?;
        if let Some(at) = last_segment(&bytes) {
            return Ok(len - bytes.len() as u64 + at as u64);
        }
        if tail >= len {
            break;
        }
    }
    Ok(0)
}

/// The last bytes before `len`; the file may have grown since that was its length.
fn read_tail(file: &mut File, len: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let bytes = bytes.min(len);
    file.seek(SeekFrom::Start(len - bytes))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bayplan_trace::{Event, PlanRecord, Reader, Record, SessionInfo, Writer};

    use super::*;

    /// A recording of so many segments, and where each begins.
    fn recording(segments: u64, ended: bool) -> (Vec<u8>, Vec<u64>) {
        let mut writer = Writer::new(SessionInfo { id: "1-1".into(), ..SessionInfo::default() });
        writer.plan(&PlanRecord::default());
        let (mut bytes, mut starts) = (Vec::new(), vec![0]);
        for segment in 0..segments {
            if segment > 0 {
                writer.take(&mut bytes);
                starts.push(bytes.len() as u64);
                writer.begin_segment();
            }
            (0..50).for_each(|at| writer.event(&Event::RunStart { run: segment * 50 + at, plan: 0, t: at }));
            writer.flush();
        }
        if ended {
            writer.end_file();
        }
        writer.take(&mut bytes);
        (bytes, starts)
    }

    #[test]
    fn reading_begins_at_the_last_keyframe() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run.bptrace");
        for (segments, ended) in [(1, false), (1, true), (3, false), (3, true), (9, true)] {
            let (bytes, starts) = recording(segments, ended);
            for torn in [0, 7] {
                fs::write(&path, &bytes[..bytes.len() - torn]).unwrap();
                let mut file = File::open(&path).unwrap();
                let at = seek_to_last_segment(&mut file).unwrap();
                // Perfetto's packets stand before the session's chunk, at which reading begins.
                assert!(at >= starts[starts.len() - 1] && at - starts[starts.len() - 1] < 1000, "{segments}");
                let mut reader = Reader::new();
                let mut rest = Vec::new();
                file.read_to_end(&mut rest).unwrap();
                reader.feed(&rest);
                let mut records = std::iter::from_fn(|| reader.next_record()).map(Result::unwrap);
                assert!(matches!(records.next(), Some(Record::Session(_))));
                assert!(matches!(records.next(), Some(Record::Plan { .. })));
                let keyframe = records.next();
                assert_eq!(matches!(keyframe, Some(Record::Keyframe(_))), segments > 1, "{keyframe:?}");
            }
        }
    }

    #[test]
    fn what_is_no_recording_is_read_from_its_start() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run.bptrace");
        // The third ends as an index does.
        for bytes in [&b""[..], b"short", b"\x10\0\0\0\0\0\0\0bpix", &[0; 5000]] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(seek_to_last_segment(&mut File::open(&path).unwrap()).unwrap(), 0);
        }
    }
}
