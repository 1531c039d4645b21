//! Simulated services: fixed seeds, answers of one member `x`, judged as the pipeline does.

use bytes::Bytes;

use super::*;
use crate::diff::{Rules, compare};
use crate::http::h1::{parse_head, parse_response_head};
