"""What is said of the optimiser: its modes, promotion, advice and what-if, in both languages."""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {  # as ``said_texts.WORDS``
    "advisory": "建议",
    "accept": "采纳",
    "reject": "拒绝",
    "accepted": "已采纳",
    "edited": "修改后采纳",
    "rejected": "已拒绝",
    "oxygen transfer": "供氧能力",
    "specific uptake": "菌体摄氧能力",
    "cooling": "冷却能力",
    "volume": "装液量",
    "feed pump": "补料泵能力",
    "feed tank": "补料罐余量",
    "acetate": "乙酸",
    "ethanol": "乙醇",
    "substrate": "残糖",
    "flooding": "搅拌液泛",
    "harvest": "放罐时间",
}

CHANGED: Mapping[str, str] = {
    "promotion": "优化器授权",
    "promote": "优化器授权",
    "advice": "优化建议",
    "what-if": "预演",
}

TEXTS: Mapping[str, tuple[str, str]] = {
    "not_promoted": (
        "{reactor}: the optimiser may go up to {granted}, not to {mode}; an engineer promotes it",
        "{reactor}：优化器目前最高授权到{granted}，不能切到{mode}；须由工程师授权",
    ),
    "evidence_lacks": (
        "{reactor}: not promoted to {mode}; {lacking}; an override needs a reason",
        "{reactor}：不能授权到{mode}；{lacking}；如需越权授权须注明原因",
    ),
    "override_reason": (
        "{reactor}: an override of the evidence needs a reason",
        "{reactor}：越过证据授权必须填写原因",
    ),
    "evidence.shadow_h": ("in shadow for {have} of {need}", "影子运行 {have}，要求 {need}"),
    "evidence.advisory_h": (
        "in advisory for {have} of {need}",
        "建议模式运行 {have}，要求 {need}",
    ),
    "evidence.forecasts": (
        "{have} of {need} forecasts compared",
        "已核对预测 {have} 次，要求 {need} 次",
    ),
    "evidence.coverage": (
        "{have} of what came was inside the 90 % interval, {need} is required",
        "实际值落在 90 % 区间内的比例为 {have}，要求 {need}",
    ),
    "evidence.refused": (
        "{have} of its plans were refused, {need} is allowed",
        "计划被拒比例 {have}，允许 {need}",
    ),
    "evidence.accepted": (
        "{have} of its advice was accepted, {need} is required",
        "建议采纳率 {have}，要求 {need}",
    ),
    "guardrail.opens": ("opening again slowly", "正在逐步放开"),
    "guardrail.no_estimate": ("there is no estimate", "没有软测量估计值"),
    "guardrail.spread": (
        "biomass is known to ± {percent} % only",
        "菌浓估计误差为 ± {percent} %",
    ),
    "guardrail.uncertain": ("{tag} is UNCERTAIN", "{tag} 可疑"),
    "suggestion": (
        "suggestion {number}: feed {feed} → {first} mL/h, {then} in half an hour; "
        "DO {do} → {to} %; product {gain}; {why}",
        "建议 {number}：补料 {feed} → {first} mL/h，半小时后 {then}；溶氧 {do} → {to} %；"
        "产物 {gain}；{why}",
    ),
    "no_limit": ("nothing", "无"),
    "why.more": (
        "the vessel takes more feed before {limit} holds it",
        "罐内还能接受更多补料，最终受{limit}限制",
    ),
    "why.less": (
        "{limit} is near; less feed keeps clear of it",
        "已接近{limit}上限，减少补料以留余量",
    ),
    "why.safer": (
        "the present course may go beyond {limit}; this one does not",
        "按现状可能超出{limit}，此方案不会",
    ),
    "why.wait": (
        "sugar is left in the broth; the feed waits until it is eaten",
        "罐内尚有残糖，待耗尽后再补料",
    ),
    "why.oxygen": (
        "the same feed at another DO; {limit} limits it",
        "补料不变，调整溶氧；受{limit}限制",
    ),
    "why.free_more": (
        "no limit is near before harvest, so more can be fed",
        "放罐前没有接近任何限制，可以多补料",
    ),
    "why.free_less": (
        "the same product needs less feed before harvest",
        "到放罐前，较少补料即可得到相同产物",
    ),
    "no_advice": ("no suggestion waits", "没有待处理的建议"),
    "advice_moved": (
        "{reactor}: suggestion {number} waits now, not {expected}; look again",
        "{reactor}：当前待处理的是建议 {number}，不是 {expected}，请核对后再操作",
    ),
    "advice_reason": (
        "{reactor}: a reason is required to edit or reject a suggestion",
        "{reactor}：修改或拒绝建议必须填写原因",
    ),
    "advice_nothing": (
        "{reactor}: to edit a suggestion give another feed or DO",
        "{reactor}：修改建议须给出新的补料或溶氧设定值",
    ),
    "advice_by_hand": (
        "{loop}: is in {mode}; set it to AUTO or CASCADE before a suggestion can lead it",
        "{loop}：当前为{mode}，须先切到自动或串级，建议才能生效",
    ),
    "advice_mode": (
        "{reactor}: the optimiser is in {mode}; it takes decisions in advisory",
        "{reactor}：优化器处于{mode}模式，只有建议模式才能处理建议",
    ),
    "advice_held": (
        "{reactor}: the recipe is {state}; a suggestion can be accepted while it runs",
        "{reactor}：配方处于{state}状态，运行时才能采纳建议",
    ),
    "advice.time_over": ("its time is over; the recipe leads", "有效时间已到，恢复配方给定"),
    "advice.shed": ("{why}; the recipe leads", "{why}；恢复配方给定"),
    "advice.mode": ("the optimiser is {mode} now", "优化器已切到{mode}"),
    "advice.batch": ("the batch is over or held", "批次已结束或处于保持状态"),
    "advice.decision": (
        "suggestion {number} {decision}",
        "建议 {number} {decision}",
    ),
    "whatif_none": (
        "{reactor}: there is nothing to run ahead: {why}",
        "{reactor}：不能预演：{why}",
    ),
    "whatif.no_batch": ("no batch is under way", "没有进行中的批次"),
    "whatif.no_estimate": ("there is no estimate yet", "还没有软测量估计值"),
    "whatif.no_end": (
        "the recipe has no planned end; say how many hours",
        "配方没有计划结束时间，请给出小时数",
    ),
    "whatif.over": ("the batch is about to end", "批次即将结束"),
    "whatif.no_limit": ("no further limit is crossed", "不会超出新的限制"),
    "whatif.crosses": ("{limit} is exceeded after {hours} h", "{hours} 小时后超出{limit}"),
    "whatif.empties": ("the feed tank is empty after {hours} h", "{hours} 小时后补料罐用空"),
    "whatif.may_cross": (
        "{limit} may be exceeded after {hours} h",
        "{hours} 小时后可能超出{limit}",
    ),
    "whatif": (
        "product at the end {product}, {gain} against the present course; {limit}",
        "结束时产物 {product}，与现状相比 {gain}；{limit}",
    ),
    "whatif_busy": (
        "{reactor}: another run ahead is under way; try again in a moment",
        "{reactor}：正在进行另一次预演，请稍后再试",
    ),
    "whatif_range": (
        "{key}: {value} is outside {low} to {high} {unit}",
        "{key}：{value} 超出 {low} 至 {high} {unit}",
    ),
    "whatif_nothing": (
        "{reactor}: say what would be changed: feed, feed_percent, do or temperature",
        "{reactor}：请给出要改变的量：补料、补料百分比、溶氧或温度",
    ),
    "whatif_twice": (
        "{reactor}: feed and feed_percent are not allowed together",
        "{reactor}：补料和补料百分比只能给一个",
    ),
    "whatif_failed": ("{reactor}: it cannot be run ahead: {why}", "{reactor}：预演失败：{why}"),
}
