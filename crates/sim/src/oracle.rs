//! Rules on ground truth, looked at whenever something they are about has changed.
