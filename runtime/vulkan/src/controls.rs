//! Programs that break a rule on purpose, to prove that the validation layers see it. For tests only.
