"""The tiny CLIP before training: its sizes, its words and how it wants its pictures.

Here belongs what `from_pretrained` later reads back from the folder. How the weights are learned does not.
"""

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

from dam_pipeline.training.captions import UNKNOWN_WORD, vocabulary
from dam_pipeline.training.pictures import INPUT_SIDE

LONGEST_QUERY = 24
"""Tokens of the longest text, including start and end."""
SPECIAL_WORDS = ("<pad>", UNKNOWN_WORD, "<bos>", "<eos>")
PAD, UNKNOWN, START, END = range(4)
WIDTH = 160
"""Numbers per patch of a picture inside the network."""
DIMENSION = 64
"""Numbers of a vector in the space that pictures and texts share."""


def build_model() -> CLIPModel:
    """A CLIP with random weights, small enough to ship."""
    shared = {"projection_dim": DIMENSION, "attention_dropout": 0.0}
    text = {
        "vocab_size": len(SPECIAL_WORDS) + len(vocabulary()),
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": LONGEST_QUERY,
        "pad_token_id": PAD,
        "bos_token_id": START,
        "eos_token_id": END,
    }
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH * 3,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": INPUT_SIDE,
        "patch_size": 12,
    }
    return CLIPModel(
        CLIPConfig(
            text_config=text | shared, vision_config=vision | shared, projection_dim=DIMENSION
        )
    )


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, in lower case; any other word becomes `<unk>`."""
    words = {word: place for place, word in enumerate((*SPECIAL_WORDS, *vocabulary()))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN_WORD))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", START), ("<eos>", END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST_QUERY,
        pad_token="<pad>",
        unk_token=UNKNOWN_WORD,
        bos_token="<bos>",
        eos_token="<eos>",
    )


def build_image_processor() -> CLIPImageProcessor:
    """The usual preparation for CLIP, at the network's size; values end between -1 and 1."""
    return CLIPImageProcessor(
        size={"shortest_edge": INPUT_SIDE},
        crop_size={"height": INPUT_SIDE, "width": INPUT_SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
