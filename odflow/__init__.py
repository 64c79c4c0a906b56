"""odflow: from a frozen detector and a folder of images to a better detector."""

__version__ = "0.1.0"
