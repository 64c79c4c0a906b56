"""The stages that ship with odflow, one file each."""
