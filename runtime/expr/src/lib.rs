//! Integer expressions over bounded symbols.
