"""The local Bucket API: what `docs/fidelity.md` describes, with faults to order, on this machine only."""
