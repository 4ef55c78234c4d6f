//! Records as the agent encodes them go in; what stands on the screen comes out.

mod bounds;
mod fixture;
mod screens;
