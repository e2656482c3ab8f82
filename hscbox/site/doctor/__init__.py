"""Is everything as a run needs it? `checks` lists what `hscbox doctor` does; `quick` is for before a run."""
