"""Make a tiny vision-language model on the spot: Idefics3 classes, a small config, a tokenizer of the task's own texts.

The folder it writes is an ordinary checkpoint: `LanguagePolicy.from_pretrained(folder)` goes the way of a hub model.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL.Image import Resampling
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

from agentlab_runner.agents.llm.weights.loading import without_progress_bars
from agentlab_runner.runners.errors import UserError

PAD, EOS, UNK = "<pad>", "</s>", "<unk>"
IMAGE_MARKS = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
PIECES = r"-?\d+\.\d+|\w+|(?:(?!-?\d+\.\d+)[^\w])+"
"""A number, a word, or all that stands between two of them. No piece begins with a blank, so a word keeps its tokens
wherever it stands: copying `headphones` from the goal into a quoted string is copying ids."""
SCREEN_MEAN, SCREEN_STD = 0.85, 0.35
"""Of screenshots, mostly light: what stands out from the background is then what is far from zero."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def create(
    folder: str | Path,
    corpus: Sequence[str],
    image_size: int = 96,
    patch_size: int = 8,
    scale_factor: int = 4,
    width: int = 96,
    layers: int = 3,
    vision_layers: int = 1,
    heads: int = 4,
    vocab_size: int = 1024,
    seed: int = 0,
) -> Path:
    """Write a randomly initialised model, its processor and its tokenizer into `folder`.

    Args:
        folder: must not exist; it appears whole or not at all.
        corpus: prompts and actions as the model will meet them; the tokenizer's merges come from them.
        image_size: side in pixels of the square every screenshot is resized to.
        patch_size: side in pixels of one vision token.
        scale_factor: `scale_factor`² neighbouring vision tokens become one token of the language model.
        width: hidden size of both towers.
        layers, vision_layers: depth of the language model and of the vision tower.
        heads: attention heads of both towers.
        vocab_size: upper bound; a small corpus gives fewer tokens.
        seed: decides the weights; the tokenizer depends on the corpus alone.

    Returns:
        The folder, for `LanguagePolicy.from_pretrained`.
    """
    if not any(corpus):
        raise UserError("the tiny model's tokenizer needs texts and the corpus is empty; give demonstrations")
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} exists; give a folder that does not, or load the model in it by model.name")
    tokenizer = train_tokenizer(corpus, vocab_size)
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(
            do_image_splitting=False,
            size={"height": image_size, "width": image_size},
            max_image_size={"longest_edge": image_size},
            resample=Resampling.BILINEAR,  # Lanczos, the default, takes 2.6 times as long: a tenth of a rollout
            image_mean=[SCREEN_MEAN] * 3,
            image_std=[SCREEN_STD] * 3,
        ),
        tokenizer=tokenizer,
        image_seq_len=(image_size // patch_size // scale_factor) ** 2,
        chat_template=CHAT_TEMPLATE,
    )
    config = Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=True,
        scale_factor=scale_factor,
        pad_token_id=tokenizer.pad_token_id,
        vision_config={
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": heads,
            "image_size": image_size,
            "patch_size": patch_size,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Idefics3ForConditionalGeneration(config)
        _initialise(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.bos_token_id = None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as unfinished, without_progress_bars():
        whole = Path(unfinished) / "model"
        model.save_pretrained(whole)
        processor.save_pretrained(whole)
        whole.rename(folder)
    return folder


@torch.no_grad()
def _initialise(model: Idefics3ForConditionalGeneration) -> None:
    """Linear layers of variance 1 / inputs and a grid of sines for the patches' places.

    The library's 0.02 for every weight suits widths near 2,500; at 96 it leaves signals so faint that a place on the
    screen is learnt several times later.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and name != "lm_head":
            layer.weight.normal_(std=layer.in_features**-0.5)
    model.get_input_embeddings().weight.normal_(std=0.3)
    eyes = model.model.vision_model.embeddings
    eyes.patch_embedding.weight.normal_(std=eyes.patch_embedding.weight[0].numel() ** -0.5)
    side = eyes.num_patches_per_side
    eyes.position_embedding.weight.copy_(0.7 * _grid_of_sines(side, eyes.embed_dim))


def _grid_of_sines(side: int, width: int) -> Tensor:
    """[side², width], row by row: half of the features tell the row, half the column, at `width / 4` wavelengths."""
    places = torch.arange(side)
    waves = torch.pi / 2 * 64.0 ** (-torch.arange(width // 4) / (width // 4))
    angles = places[:, None] * waves
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = line.repeat_interleave(side, dim=0), line.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


def train_tokenizer(corpus: Sequence[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the corpus: what recurs becomes one token, anything else still has its bytes."""
    bpe = Tokenizer(models.BPE(unk_token=UNK))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[PAD, EOS, UNK, *IMAGE_MARKS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        extra_special_tokens=list(IMAGE_MARKS),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
