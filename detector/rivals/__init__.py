"""Published detectors, each built to its own definition, on the features that the detectors of this project read."""
