//! Losses, advantages and KL control as functions of numbers.
