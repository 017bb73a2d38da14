//! Bytes to records, in any portions, past any damage.

use alloc::string::String;
use alloc::vec::Vec;

use crate::format::chunk::{
    ChunkKind, FLAG_MORE, FLAG_RESTATED, FORMAT_MAJOR, Frame, HEADER_LEN, Header, MAX_BODY, crc32c,
    find_header, parse_frame, put_chunk,
};
use crate::format::damage::{Damage, DamageCause};
use crate::format::event_codec::{Context, take_event};
use crate::format::number::{Numbers, PADDING};
use crate::format::order::{Order, Place};
use crate::format::packed::{Lists, PackedContext};
use crate::format::state::{keyframe_from_bytes, plan_from_bytes, session_from_bytes};
use crate::format::wire::{Cursor, WireError};
use crate::schema::event::{Event, UNPLANNED};
use crate::schema::event_ref::EventRef;
use crate::schema::plan_record::PlanRecord;
use crate::schema::session::Record;

/// Most plans of one session.
const MAX_PLANS: usize = 1 << 20;
/// Bytes of a segment that are searched for the next chunk, before the rest is given up.
const MAX_GAP: u64 = 16 << 20;

/// The lengths that indices of events are checked against.
#[derive(Clone, Copy, Debug)]
struct PlanShape {
    ops: u32,
    buffers: u32,
    arenas: u32,
}

/// Decodes a recording that is fed to it in portions.
///
/// Feed portions of any length and take records until there are none:
/// memory stays within one chunk (about 1 MiB), the portion, and the plan or keyframe being put together.
#[derive(Clone, Default)]
pub struct Reader {
    buf: Vec<u8>,
    /// Start in `buf` of what is not yet read.
    pos: usize,
    /// Offset in the segment of `buf[0]`.
    offset: u64,
    /// No more bytes will come for this segment.
    ended: bool,
    /// Looking for the next sound chunk after damage.
    lost: bool,
    fatal: bool,
    /// The rest of the segment is not read.
    gave_up: bool,
    /// Offset in the segment behind the last sound frame.
    sound_end: u64,
    seen_chunk: bool,
    order: Order,
    /// Whether records are missing that a keyframe makes good.
    needs_keyframe: bool,
    /// The number of the last keyframe that was read; 0 before the first.
    keyframe: u64,
    seen_session: bool,
    plans: Vec<Option<PlanShape>>,
    /// The pieces so far of an item of several chunks.
    pieces: Vec<u8>,
    next_piece: u32,
    /// The chunk of events being handed out.
    events: Option<OpenChunk>,
    /// Its body, with zeros behind it.
    body: Vec<u8>,
    /// What its differences are against, if it is packed.
    packed: PackedContext,
    lists: Lists,
    waiting: Option<Damage>,
    skipped: u64,
    /// Sound chunks in their frames, where they are asked for.
    kept: Option<Vec<u8>>,
}

/// Where a chunk of events is being read.
#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    at: u64,
    pos: usize,
    /// Of a chunk that is not packed.
    context: Option<Context>,
    left: u32,
}

/// Takes what a [`Reader`] decodes, without a copy of each event.
pub trait Visitor {
    /// A session, a plan or a keyframe; never an event.
    fn record(&mut self, record: Record);

    /// Something that happened.
    fn event(&mut self, event: EventRef<'_>);

    /// Something that could not be read.
    fn damage(&mut self, damage: Damage);
}

impl Reader {
    /// Whether these first bytes of a file are a recording's: it begins as a trace does, with one of our chunks soon after.
    pub fn recognises(head: &[u8]) -> bool {
        head.first() == Some(&0x0a) && find_header(head, 0).is_ok()
    }

    /// A reader at the start of a recording.
    pub fn new() -> Self {
        Self { needs_keyframe: true, ..Self::default() }
    }

    /// From now on keeps the chunks that are sound, whatever they hold, for [`Reader::take_chunks`].
    pub fn keep_chunks(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Moves the chunks kept since the last call to the end of `out`, each in the frame it has in a file. The chunk of a record is
    /// kept before [`Reader::next_record`] hands the record out. Together they are a recording of the same session, without
    /// the packets that Perfetto shows.
    pub fn take_chunks(&mut self, out: &mut Vec<u8>) {
        if let Some(kept) = &mut self.kept {
            out.append(kept);
        }
    }

    /// A reader that is fed from a segment's head in the middle of a file on: where [`last_segment`](crate::last_segment) or an
    /// [`Index`](crate::Index) says. Damages tell their place in the file.
    pub fn starting_at(offset: u64) -> Self {
        let order = if offset > 0 { Order::from_the_middle() } else { Order::default() };
        Self { offset, sound_end: offset, order, ..Self::new() }
    }

    /// Adds the next bytes of the segment.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.fatal || self.gave_up {
            return;
        }
        if self.pos > 0 {
            self.buf.drain(..self.pos);
            self.offset += self.pos as u64;
            self.pos = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Says that no more bytes will come for this segment: what remains is given up and reported by the next calls of
    /// [`Reader::next_record`].
    pub fn end_segment(&mut self) {
        self.ended = true;
    }

    /// Goes on with the next segment of the same session, from its first byte. Offsets count from 0 again.
    /// Bytes of the old segment that were not read are forgotten.
    pub fn begin_segment(&mut self) {
        self.buf.clear();
        self.pos = 0;
        self.offset = 0;
        self.ended = false;
        self.lost = false;
        self.gave_up = false;
        self.sound_end = 0;
    }

    /// Whether the rest of the segment will not be read, whatever bytes are in it: none were a recording's for 16 MiB.
    pub fn gave_up(&self) -> bool {
        self.fatal || self.gave_up
    }

    /// Offset in the segment up to which everything was read.
    pub fn offset(&self) -> u64 {
        self.offset + self.pos as u64
    }

    /// The next record or damage; `None` when more bytes are needed, or nothing more can be read.
    pub fn next_record(&mut self) -> Option<Result<Record, Damage>> {
        loop {
            match self.next_step() {
                Step::Item(record) => return Some(record),
                Step::NeedBytes => return None,
                Step::Opened | Step::Again => {}
            }
        }
    }

    fn next_step(&mut self) -> Step {
        if self.fatal {
            return Step::NeedBytes;
        }
        if let Some(damage) = self.waiting.take() {
            self.fatal = damage.is_fatal();
            return Step::Item(Err(damage));
        }
        if self.events.is_some() {
            return self.next_event().map_or(Step::Again, Step::Item);
        }
        match self.next_chunk() {
            // What was noticed on the way comes first.
            Step::NeedBytes if self.waiting.is_some() => Step::Again,
            step => step,
        }
    }

    /// Hands all records and damages to `visitor` that the bytes fed so far hold: what calling [`Reader::next_record`] until
    /// there is nothing more does, much faster.
    pub fn visit(&mut self, visitor: &mut impl Visitor) {
        while self.visit_some(visitor) {}
    }

    /// As [`Reader::visit`], but no more at once than the events of a chunk, or one record or damage; returns whether to
    /// call it again before more bytes are fed. A chunk of events is kept for [`Reader::take_chunks`] one call before its
    /// events are handed out.
    pub fn visit_some(&mut self, visitor: &mut impl Visitor) -> bool {
        if self.waiting.is_none() && !self.fatal && self.events.is_some_and(|open| open.context.is_none()) {
            self.visit_packed(visitor);
            return true;
        }
        match self.next_step() {
            Step::Item(Ok(Record::Event(event))) => visitor.event(event.as_ref()),
            Step::Item(Ok(record)) => visitor.record(record),
            Step::Item(Err(damage)) => visitor.damage(damage),
            Step::NeedBytes => return false,
            Step::Opened | Step::Again => {}
        }
        true
    }

    /// Events and chunks of kinds that this version does not know, which were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn damage(&mut self, offset: u64, cause: DamageCause) {
        // One at a time: the first is the cause of those behind it.
        self.waiting.get_or_insert(Damage { offset, cause });
    }

    /// Called when nothing sound was found for long: takes no more bytes of this segment.
    fn give_up(&mut self) -> Step {
        let cause =
            if self.seen_chunk { DamageCause::Void { bytes: MAX_GAP } } else { DamageCause::NotARecording };
        self.damage(self.sound_end, cause);
        self.gave_up = true;
        self.lost = false;
        self.buf = Vec::new();
        self.pos = 0;
        Step::Again
    }

    fn next_chunk(&mut self) -> Step {
        if self.gave_up {
            return Step::NeedBytes;
        }
        if self.lost {
            return self.resync();
        }
        match parse_frame(&self.buf[self.pos..]) {
            Frame::Visible(len) => {
                self.pos += len;
                if self.seen_chunk {
                    self.sound_end = self.offset();
                } else if self.offset() > MAX_GAP {
                    return self.give_up();
                }
                Step::Again
            }
            Frame::Chunk(header, body) => self.chunk(header, body),
            Frame::Incomplete => self.need_bytes(),
            Frame::Damaged => {
                self.damage(self.offset(), DamageCause::Frame);
                self.lost = true;
                Step::Again
            }
        }
    }

    /// Called where the buffered bytes end inside a frame.
    fn need_bytes(&mut self) -> Step {
        if !self.ended {
            return Step::NeedBytes;
        }
        let rest = (self.buf.len() - self.pos) as u64;
        if rest > 0 {
            self.damage(self.offset(), DamageCause::Truncated { bytes: rest });
            // A damaged length may have swallowed sound chunks.
            self.lost = true;
            return Step::Again;
        }
        if !self.seen_chunk {
            self.damage(0, DamageCause::NotARecording);
        }
        Step::NeedBytes
    }

    /// Looks for the next chunk with a sound header.
    fn resync(&mut self) -> Step {
        let found = find_header(&self.buf, self.pos);
        let (Ok(searched) | Err(searched)) = found;
        if (self.offset + searched as u64).saturating_sub(self.sound_end) > MAX_GAP {
            return self.give_up();
        }
        let at = match found {
            Ok(at) => at,
            Err(clear) if !self.ended => {
                self.pos = clear;
                return Step::NeedBytes;
            }
            Err(_) => {
                self.pos = self.buf.len();
                self.lost = false;
                return self.need_bytes();
            }
        };
        self.pos = at;
        let Some(header) = Header::from_bytes(&self.buf[at..]) else { return Step::NeedBytes };
        if self.buf.len() - at < HEADER_LEN + header.len as usize {
            if !self.ended {
                return Step::NeedBytes;
            }
            // The end cut it short; nothing of it is left to read.
            self.pos += 1;
            return Step::Again;
        }
        self.lost = false;
        self.chunk(header, HEADER_LEN)
    }

    /// Reads the chunk whose body begins `body` bytes behind the position, once it is whole.
    fn chunk(&mut self, header: Header, body: usize) -> Step {
        let at = self.offset();
        let body = self.pos + body..self.pos + body + header.len as usize;
        if header.major != FORMAT_MAJOR {
            self.damage(at, DamageCause::Version { found: header.major });
            return Step::Again;
        }
        if body.len() > MAX_BODY {
            self.damage(at, DamageCause::Frame);
            self.lost = true;
            return Step::Again;
        }
        if self.buf.len() < body.end {
            return self.need_bytes();
        }
        self.pos = body.end;
        self.sound_end = self.offset();
        self.seen_chunk = true;
        let sound = crc32c(&self.buf[body.clone()]) == header.body_crc;
        if header.kind != ChunkKind::Index as u8 {
            match self.order.take(header, Some(&self.buf[body.clone()]).filter(|_| sound)) {
                // A file that holds a session twice tells it once.
                Place::Repeated => return Step::Again,
                Place::Next => {}
                Place::Earlier if !self.adds(header) => return Step::Again,
                Place::Earlier => {}
                Place::Behind { missing } => {
                    self.needs_keyframe = true;
                    self.damage(at, DamageCause::Missing { chunks: missing });
                }
            }
        }
        if !sound {
            self.damage(at, DamageCause::Checksum);
            self.needs_keyframe = true;
            return Step::Again;
        }
        // An index tells where things lie in its own file.
        if let Some(kept) = self.kept.as_mut().filter(|_| header.kind != ChunkKind::Index as u8) {
            put_chunk(kept, header, &self.buf[body.clone()]);
        }
        self.open(at, header, body)
    }

    /// Whether a chunk that comes late says what nothing since has said. A keyframe counts what was before it, and sets the
    /// state back where it comes behind what it was before.
    fn adds(&self, header: Header) -> bool {
        match ChunkKind::from_number(header.kind) {
            Some(ChunkKind::Keyframe) => false,
            Some(ChunkKind::Session) => !self.seen_session,
            Some(ChunkKind::Events | ChunkKind::Packed) => header.seq > self.keyframe,
            _ => true,
        }
    }

    fn open(&mut self, at: u64, header: Header, body: core::ops::Range<usize>) -> Step {
        let Some(kind) = ChunkKind::from_number(header.kind) else {
            self.skipped += 1;
            return Step::Again;
        };
        match kind {
            ChunkKind::Index => return Step::Again,
            ChunkKind::Events | ChunkKind::Packed => {
                self.body.clear();
                self.body.extend_from_slice(&self.buf[body]);
                self.body.extend_from_slice(&[0; PADDING]);
                self.packed = PackedContext::new(header.base);
                let context = (kind == ChunkKind::Events).then(|| Context::new(header.base));
                self.events = Some(OpenChunk { at, pos: 0, context, left: header.count });
                return Step::Opened;
            }
            ChunkKind::Session | ChunkKind::Plan | ChunkKind::Keyframe => {}
        }
        // What earlier segments said is news only to a reader that has not read them.
        let restated = header.flags & FLAG_RESTATED != 0;
        let missed = if kind == ChunkKind::Session { !self.seen_session } else { self.needs_keyframe };
        if restated && !missed {
            return Step::Again;
        }
        if let Err(reason) = self.add_piece(header, kind.max_len(), body) {
            return Step::Item(Err(Damage { offset: at, cause: DamageCause::Content { reason } }));
        }
        if header.flags & FLAG_MORE != 0 {
            return Step::Again;
        }
        let pieces = core::mem::take(&mut self.pieces);
        self.next_piece = 0;
        if kind == ChunkKind::Session && header.seq == 0 {
            // A session begins: nothing came before, so nothing is missing.
            self.needs_keyframe = false;
            self.plans.clear();
            self.keyframe = 0;
        }
        if kind == ChunkKind::Keyframe {
            self.keyframe = header.seq;
        }
        let record = self.assemble(kind, &pieces);
        Step::Item(record.map_err(|reason| Damage { offset: at, cause: DamageCause::Content { reason } }))
    }

    /// Adds a chunk to the item of several chunks it belongs to; its count says which piece it is.
    fn add_piece(
        &mut self,
        header: Header,
        max_len: usize,
        body: core::ops::Range<usize>,
    ) -> Result<(), String> {
        if header.count == 0 {
            self.pieces.clear();
        } else if header.count != self.next_piece {
            self.next_piece = 0;
            return Err(String::from("it goes on with an item whose start is missing"));
        }
        if self.pieces.len() + body.len() > max_len {
            self.pieces = Vec::new();
            self.next_piece = 0;
            return Err(String::from("its pieces are larger together than such an item may be"));
        }
        self.pieces.extend_from_slice(&self.buf[body]);
        self.next_piece = header.count.saturating_add(1);
        Ok(())
    }

    /// Decodes an item put together from its pieces.
    fn assemble(&mut self, kind: ChunkKind, bytes: &[u8]) -> Result<Record, String> {
        let text = |error: WireError| alloc::format!("{error}");
        match kind {
            ChunkKind::Session => {
                let session = session_from_bytes(bytes).map_err(text)?;
                self.seen_session = true;
                Ok(Record::Session(session))
            }
            ChunkKind::Plan => {
                let (plan, record) = plan_from_bytes(bytes).map_err(text)?;
                let record = PlanRecord::from_bytes(record).map_err(|error| alloc::format!("{error}"))?;
                self.note_plan(plan, &record).map_err(text)?;
                Ok(Record::Plan { plan, record })
            }
            ChunkKind::Keyframe | ChunkKind::Events | ChunkKind::Packed | ChunkKind::Index => {
                let mut keyframe = keyframe_from_bytes(bytes).map_err(text)?;
                keyframe.state.retain(|event| check(&self.plans, event.as_ref()).is_ok());
                self.needs_keyframe = false;
                Ok(Record::Keyframe(keyframe))
            }
        }
    }

    fn note_plan(&mut self, plan: u32, record: &PlanRecord) -> Result<(), WireError> {
        let at = plan as usize;
        if at >= MAX_PLANS {
            return Err(WireError::Value("the session has too many plans"));
        }
        if self.plans.len() <= at {
            self.plans.resize(at + 1, None);
        }
        let lengths = [record.ops.len(), record.buffers.len(), record.arenas.len()];
        // A validated plan's lists are far below 32 bits.
        let [ops, buffers, arenas] = lengths.map(|len| len as u32);
        self.plans[at] = Some(PlanShape { ops, buffers, arenas });
        Ok(())
    }

    /// Hands out the rest of the packed chunk at hand.
    fn visit_packed(&mut self, visitor: &mut impl Visitor) {
        let Some(open) = self.events.take() else { return };
        let Self { body, packed, lists, plans, skipped, .. } = self;
        let content = |error: WireError| {
            let reason = alloc::format!("{error}");
            Damage { offset: open.at, cause: DamageCause::Content { reason } }
        };
        let mut numbers = Numbers::at(body, open.pos);
        let mut left = open.left;
        while !numbers.is_empty() {
            left = left.saturating_sub(1);
            match packed.take(&mut numbers, lists) {
                Ok(Some(event)) => match check(plans, event) {
                    Ok(()) => visitor.event(event),
                    Err(error) => visitor.damage(content(error)),
                },
                Ok(None) => *skipped += 1,
                // Without this event's length the rest of the chunk cannot be read.
                Err(error) => return visitor.damage(content(error)),
            }
        }
        self.note_missing_events(open.at, left);
    }

    fn note_missing_events(&mut self, at: u64, left: u32) {
        if left > 0 {
            let reason = alloc::format!("{left} events are missing at its end");
            self.damage(at, DamageCause::Content { reason });
        }
    }

    fn next_event(&mut self) -> Option<Result<Record, Damage>> {
        let mut open = self.events.take()?;
        if open.pos >= self.body.len() - PADDING {
            self.note_missing_events(open.at, open.left);
            return None;
        }
        let event = match self.take_event(&mut open) {
            Ok(event) => event.map(|event| check(&self.plans, event.as_ref()).map(|()| event)),
            Err(error) => {
                // Without this event's length the rest of the chunk cannot be read.
                let reason = alloc::format!("{error}");
                return Some(Err(Damage { offset: open.at, cause: DamageCause::Content { reason } }));
            }
        };
        open.left = open.left.saturating_sub(1);
        self.events = Some(open);
        let Some(event) = event else {
            self.skipped += 1;
            return None;
        };
        Some(event.map(Record::Event).map_err(|error| {
            let reason = alloc::format!("{error}");
            Damage { offset: open.at, cause: DamageCause::Content { reason } }
        }))
    }

    fn take_event(&mut self, open: &mut OpenChunk) -> Result<Option<Event>, WireError> {
        if let Some(context) = &mut open.context {
            let mut cursor = Cursor::at(&self.body[..self.body.len() - PADDING], open.pos);
            let event = take_event(&mut cursor, context)?;
            open.pos = cursor.pos();
            return Ok(event);
        }
        let mut numbers = Numbers::at(&self.body, open.pos);
        let event = self.packed.take(&mut numbers, &mut self.lists)?.map(EventRef::to_event);
        open.pos = numbers.pos();
        Ok(event)
    }
}

/// Checks the indices of an event against its plan.
#[inline]
fn check(plans: &[Option<PlanShape>], event: EventRef<'_>) -> Result<(), WireError> {
    let shape = |plan: u32| {
        let shape = plans.get(plan as usize).copied().flatten();
        shape.ok_or(WireError::Value("an event names a plan that is not known here"))
    };
    let holds = match event {
        EventRef::RunStart { plan, .. } | EventRef::PlanRetired { plan, .. } => shape(plan).map(|_| true)?,
        EventRef::Completed { plan, op, .. } => op < shape(plan)?.ops,
        EventRef::OpTimes { plan, first_op, times, .. } => {
            u64::from(first_op) + times.len() as u64 <= u64::from(shape(plan)?.ops)
        }
        EventRef::Windows { plan, windows, .. } => {
            let PlanShape { ops, buffers, arenas } = shape(plan)?;
            windows.iter().all(|w| {
                w.op < ops
                    && (w.buffer < buffers || w.buffer == UNPLANNED)
                    && (w.arena < arenas || w.arena == UNPLANNED)
            })
        }
        _ => true,
    };
    if holds { Ok(()) } else { Err(WireError::Value("an event names an op or buffer its plan lacks")) }
}

/// What reading the next frame came to.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; a box would cost an allocation for every event"
)]
enum Step {
    Item(Result<Record, Damage>),
    /// A chunk of events was opened.
    Opened,
    Again,
    NeedBytes,
}
