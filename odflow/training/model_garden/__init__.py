"""Networks of Model Garden for the heads; whatever else of `official` a head needs comes in here too."""
