"""What the record tells of recipes, batches, devices and interlocks, in both languages."""

from collections.abc import Mapping

TEXTS: Mapping[str, tuple[str, str]] = {  # as ``said_texts.TEXTS``
    "batch_started": (
        "batch {batch} started: recipe {recipe}",
        "批次 {batch} 开始：配方 {recipe}",
    ),
    "of_recipe": ("recipe {recipe}: {text}", "配方 {recipe}：{text}"),
    "inoculated": (
        "inoculated: the age of the batch is counted from now",
        "接种：发酵周期自此计时",
    ),
    "phase_began": ("phase {phase} ({n} of {all}) began", "阶段 {phase} 开始（{n}/{all}）"),
    "phase_asks": ("phase {phase} asks: {question}", "阶段 {phase} 请求确认：{question}"),
    "phase_confirmed": (
        "phase {phase}: {who} confirmed: {question}",
        "阶段 {phase}：{who} 已确认：{question}",
    ),
    "phase_left": ("phase {phase} was left by hand: {why}", "手动离开阶段 {phase}：{why}"),
    "phase_held": ("held in phase {phase}: {why}", "在阶段 {phase} 保持：{why}"),
    "phase_resumed": ("resumed in phase {phase}", "阶段 {phase} 继续"),
    "batch_aborted": ("aborted in phase {phase}: {why}", "在阶段 {phase} 中止：{why}"),
    "batch_complete": ("complete after {age} h", "完成，历时 {age} h"),
    "goes_on_by": ("goes on by version {version}: {why}", "改用第 {version} 版配方：{why}"),
    "hold_if": ("{when}; resume it when that is over", "{when}；恢复正常后请继续"),
    "restarted": (
        "the controller was restarted; resume when the vessel is right",
        "控制器已重启；确认罐况正常后请继续",
    ),
    "phase_too_long": (
        "phase {phase} has lasted {h} h, its max_h, and has not ended; resume it to let it go on, "
        "or abort",
        "阶段 {phase} 已达最长时间 {h} h（max_h）仍未结束；可继续或中止",
    ),
    "dose_given": ("{wanted} were given through {loop}", "已通过 {loop} 加入 {wanted}"),
    "dose_short": (
        "{given} went through {loop}, and the weight is not reached",
        "已通过 {loop} 加入 {given}，仍未达到目标重量",
    ),
    "dose_unfinished": (
        "{given} through {loop} were given; the rest {why}",
        "已通过 {loop} 加入 {given}；其余{why}",
    ),
    "rest.left": ("is not given: phase {phase} was left", "不再加入：已离开阶段 {phase}"),
    "rest.over": ("is not given: the batch is over", "不再加入：批次已结束"),
    "rest.aborted": ("is not given: the batch was aborted", "不再加入：批次已中止"),
    "rest.restart": ("is not given by itself after a restart", "重启后不会自动加入"),
    "controller_runs": (
        "the controller runs: fermloop {fermloop}, Python {python}",
        "控制器运行：fermloop {fermloop}，Python {python}",
    ),
    "device_warns": ("{device}: warning: {text}", "{device}：警告：{text}"),
    "device_warned": ("{device}: no longer: {text}", "{device}：警告解除：{text}"),
    "interlock_tripped": ("tripped: {text}", "联锁动作：{text}"),
    "bypass_over": (
        "the bypass by {who} is over after {min} min: {text}",
        "{who} 的联锁切除在 {min} min 后结束：{text}",
    ),
    "interlock_cleared": ("cleared: {text}", "联锁解除：{text}"),
}
