//! The opcodes of plain data, by their names in Python's module `pickletools`.

macro_rules! opcodes {
    ($($name:ident = $byte:expr,)*) => {
        $(pub(super) const $name: u8 = $byte;)*
    };
}

opcodes! {
    MARK = b'(',
    STOP = b'.',
    POP = b'0',
    POP_MARK = b'1',
    BINFLOAT = b'G',
    BININT = b'J',
    BININT1 = b'K',
    BININT2 = b'M',
    NONE = b'N',
    BINUNICODE = b'X',
    APPEND = b'a',
    DICT = b'd',
    EMPTY_DICT = b'}',
    APPENDS = b'e',
    BINGET = b'h',
    LONG_BINGET = b'j',
    LIST = b'l',
    EMPTY_LIST = b']',
    BINPUT = b'q',
    LONG_BINPUT = b'r',
    SETITEM = b's',
    TUPLE = b't',
    EMPTY_TUPLE = b')',
    SETITEMS = b'u',
    BINBYTES = b'B',
    SHORT_BINBYTES = b'C',
    PROTO = 0x80,
    TUPLE1 = 0x85,
    TUPLE2 = 0x86,
    TUPLE3 = 0x87,
    NEWTRUE = 0x88,
    NEWFALSE = 0x89,
    LONG1 = 0x8a,
    LONG4 = 0x8b,
    SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d,
    BINBYTES8 = 0x8e,
    MEMOIZE = 0x94,
    FRAME = 0x95,
}

/// Opcodes that name classes, call them or set their state.
const CLASSES: [(u8, &str); 15] = [
    (b'c', "GLOBAL"),
    (b'i', "INST"),
    (b'o', "OBJ"),
    (b'R', "REDUCE"),
    (b'b', "BUILD"),
    (b'P', "PERSID"),
    (b'Q', "BINPERSID"),
    (0x81, "NEWOBJ"),
    (0x82, "EXT1"),
    (0x83, "EXT2"),
    (0x84, "EXT4"),
    (0x92, "NEWOBJ_EX"),
    (0x93, "STACK_GLOBAL"),
    (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"),
];

/// The name of an opcode that would make more than plain data.
pub(super) fn of_classes(opcode: u8) -> Option<&'static str> {
    CLASSES.iter().find(|(byte, _)| *byte == opcode).map(|(_, name)| *name)
}
