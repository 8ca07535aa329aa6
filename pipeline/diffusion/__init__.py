"""What the generic diffusers generator is made of: classes and signatures, loading, text first, embeddings on disk, truncation.

Whoever changes what comes out raises `VERSION` in generators/diffusers.py.
"""
