"""Running a trained detector: frozen GraphDef, SavedModel, exported folder, TFLite."""
