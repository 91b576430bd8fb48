//! The relay between clients of both eras and servers of both eras, over a real connection to a scripted server.

mod bridges;
mod double;
mod host;
mod legacy;
mod modern;
mod sessions;
mod state;
