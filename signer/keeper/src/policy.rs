//! What operators signed, judged by the keeper itself.
