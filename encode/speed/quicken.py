"""The same functions in less time: what transformers computes and then drops, or writes out and need not.

A function for each network that transformers loads. Results differ from the library's by rounding alone (tests compare
at full size). They replace parts inside its networks, which another version may name or join differently: outside
:data:`TESTED_VERSIONS` a network is left as it is, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from postmill.shards.runtime.progress import Progress

TESTED_VERSIONS = ("5.23", "5.25")
"""Of transformers: from the first on, and before the second. A new one is added when tests/encode passes with it."""

_QUICK_GELU = 1.702


def quicken_clip(network: Any, progress: Progress) -> None:
    """Have a CLIP vision model skip what is not pooled, and compute activations and patches in fewer passes.

    Args:
        network: A ``CLIPVisionModel`` that transformers loaded; float32, before it is moved.
        progress: Told where the network is left as it is.
    """
    if _is_tested("CLIP", progress):
        _pooled_token_of_clip(network)
        _activation_of_clip(network)
        _patches_of_clip(network)


def quicken_distilbert(network: Any, progress: Progress) -> None:
    """Have the last layer of a DistilBERT compute the first token alone, the one that the classifier reads.

    Args:
        network: A ``DistilBertModel`` that transformers loaded.
        progress: Told where the network is left as it is.
    """
    if _is_tested("DistilBERT", progress):
        _first_token_of_distilbert(network)


def quicken_mpnet(network: Any, progress: Progress) -> None:
    """Have the layers of an MPNet share one sum of position bias and mask, and use torch's fused attention.

    Args:
        network: An ``MPNetModel`` that transformers loaded.
        progress: Told where the network is left as it is.
    """
    if _is_tested("MPNet", progress):
        _attention_of_mpnet(network)


def _is_tested(network: str, progress: Progress) -> bool:
    from packaging.version import Version

    installed = version("transformers")
    first, end = map(Version, TESTED_VERSIONS)
    if first <= Version(installed) < end:
        return True
    progress.note(
        f"{network}: transformers {installed} is not one of {first} to before {end}, for which postmill "
        "has a faster way, so it computes as transformers does, more slowly"
    )
    return False


def _split_heads(size: int) -> Callable[[Any], Any]:
    """Return what turns states of shape (B, tokens, heads * ``size``) into (B, heads, tokens, ``size``)."""
    return lambda states: states.unflatten(-1, (-1, size)).transpose(1, 2)


def _first_token_of_distilbert(network: Any) -> None:
    from torch.nn.functional import scaled_dot_product_attention

    block = network.transformer.layer[-1]
    attention = block.attention
    heads = _split_heads(attention.attention_head_size)

    def forward(hidden_states: Any, attention_mask: Any = None, **_: Any) -> Any:
        first = hidden_states[:, :1]
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        query, key, value = attention.q_lin(first), attention.k_lin(hidden_states), attention.v_lin(hidden_states)
        context = scaled_dot_product_attention(
            heads(query), heads(key), heads(value), attn_mask=mask, scale=attention.scaling
        )
        attended = block.sa_layer_norm(attention.out_lin(context.transpose(1, 2).flatten(2)) + first)
        return block.output_layer_norm(block.ffn(attended) + attended)

    block.forward = forward


def _pooled_token_of_clip(network: Any) -> None:
    """Have the last layer compute the first token alone, the one that is pooled."""
    from torch.nn.functional import scaled_dot_product_attention

    block = network.encoder.layers[-1]
    attention = block.self_attn
    heads = _split_heads(attention.head_dim)

    def forward(hidden_states: Any, *_: Any, **__: Any) -> Any:
        first, normal = hidden_states[:, :1], block.layer_norm1(hidden_states)
        query, key, value = attention.q_proj(normal[:, :1]), attention.k_proj(normal), attention.v_proj(normal)
        context = scaled_dot_product_attention(heads(query), heads(key), heads(value), scale=attention.scale)
        attended = first + attention.out_proj(context.transpose(1, 2).flatten(2))
        return attended + block.mlp(block.layer_norm2(attended))

    block.forward = forward


def _activation_of_clip(network: Any) -> None:
    """Have the layers compute x * sigmoid(1.702 x) in place, in one pass instead of three.

    That is SiLU(1.702 x) / 1.702, and the linear maps before and after it take the factors up.
    """
    import torch

    if network.config.hidden_act != "quick_gelu":
        return
    for layer in network.encoder.layers:
        with torch.no_grad():
            layer.mlp.fc1.weight.mul_(_QUICK_GELU)
            layer.mlp.fc1.bias.mul_(_QUICK_GELU)
            layer.mlp.fc2.weight.div_(_QUICK_GELU)
        layer.mlp.activation_fn = torch.nn.SiLU(inplace=True)


def _patches_of_clip(network: Any) -> None:
    """Have the patches, which do not overlap, mapped by one matrix product, no convolution."""
    import torch

    embeddings = network.embeddings
    kernel, side = embeddings.patch_embedding.weight.detach(), embeddings.patch_size
    linear = torch.nn.Linear(kernel[0].numel(), len(kernel), bias=False, device="meta")
    linear.weight = torch.nn.Parameter(kernel.flatten(1))
    embeddings.patch_embedding = linear

    def forward(pixel_values: Any, **_: Any) -> Any:
        grid = pixel_values.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # picture, colour, row, y, column, x
        patches = linear(grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        first = embeddings.class_embedding.expand(len(patches), 1, -1)
        return torch.cat([first, patches], dim=1) + embeddings.position_embedding(embeddings.position_ids)

    embeddings.forward = forward


def _attention_of_mpnet(network: Any) -> None:
    from torch.nn.functional import scaled_dot_product_attention

    encoder = network.encoder

    def through_layers(hidden_states: Any, attention_mask: Any = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        bias = encoder.compute_position_bias(hidden_states[:1])
        if attention_mask is not None:
            bias = bias + attention_mask
        for layer in encoder.layer:
            (hidden_states,) = layer(hidden_states, None, bias)
        return BaseModelOutput(last_hidden_state=hidden_states)

    def attend(attention: Any) -> Any:
        heads = _split_heads(attention.attention_head_size)

        def forward(hidden_states: Any, attention_mask: Any = None, position_bias: Any = None, **_: Any) -> Any:
            query, key, value = (heads(part(hidden_states)) for part in (attention.q, attention.k, attention.v))
            shape = (len(hidden_states), *query.shape[1:3], key.shape[2])
            context = scaled_dot_product_attention(query, key, value, attn_mask=position_bias.expand(shape))
            return (attention.o(context.transpose(1, 2).flatten(2)),)

        return forward

    encoder.forward = through_layers
    for layer in encoder.layer:
        layer.attention.attn.forward = attend(layer.attention.attn)
