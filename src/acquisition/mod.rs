//! What the next trial would teach, and where it would teach most.
