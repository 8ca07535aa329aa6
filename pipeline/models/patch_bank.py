from pipeline.schema import Strict
class Settings(Strict):
    model_config={"extra":"allow"}
