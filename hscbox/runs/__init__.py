"""Many CCDs: execution, outcomes, summary, and the records of an output."""
