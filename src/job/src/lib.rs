//! What is a job? Its class, its parameters, its limits, and the command line that a node makes of them.
//!
//! Plain data and arithmetic: no clock, no process, no disk. What may run is written down on the node, in its settings;
//! a request names a class and gives values for that class's parameters, and nothing of the command line itself.

mod class;
mod command;
mod defaults;
mod game;
mod id;
mod kind;
mod launch;
mod limits;
mod need;
mod param;
mod quantity;
mod run;
mod template;
mod value;

pub use class::{Class, ClassError, Classes, Patch};
pub use command::{CommandLine, Place, RenderError};
pub use defaults::built_in;
pub use game::{Board, GameConfig, InvalidGameConfig};
pub use id::{ClassName, InvalidName, JobId};
pub use kind::Kind;
pub use launch::Launch;
pub use limits::{CpuSet, Limits, LimitsError};
pub use need::{GpuNeed, Needs};
pub use param::{Param, ParamError, ParamType, Params};
pub use quantity::{Bytes, Percent, Quantity, Seconds};
pub use run::{Ending, How, RunId, Usage};
pub use template::{Argument, Template, TemplateError};
pub use value::ParamValue;
