"""The texts of the boards of vessels and batches, as ``texts``."""

TEXTS: dict[str, tuple[str, str]] = {
    # plant
    "board.plant": ("Plant", "全厂总览"),
    "board.plant.about": (
        "Every reactor: batch, age, values, alarms, optimiser and how fresh they are.",
        "各罐批号、周期、参数、报警、优化状态与数据新鲜度。",
    ),
    "reactors": ("Reactors", "各罐"),
    "reactors.about": (
        "Values of the last minute; a reactor that has no contact shows when it last had one.",
        "最近一分钟的数值；无通信的罐显示最后通信时间。",
    ),
    "contact": ("Last contact", "最后通信"),
    "batch.one": ("Batch", "批号"),
    "phase": ("Phase", "阶段"),
    "active": ("Active alarms", "报警数"),
    "feed.mode": ("Feed mode", "补料模式"),
    "simulated": ("Plant", "装置"),
    "all": ("All reactors", "全部罐"),
    # reactor
    "board.reactor": ("Fermentation reactor", "发酵罐"),
    "board.reactor.about": (
        "One reactor: loops, gas, feed, soft sensors, modes, alarms and the quality of readings.",
        "单罐总览：回路、气体、补料、软测量、模式、报警与数据质量。",
    ),
    "tiles": ("Now", "当前值"),
    "tiles.about": (
        "The last good value of the last minute; in colour: older, or BAD.",
        "最近一分钟内的最新有效值；着色表示过期或无效。",
    ),
    "now": ("Newest values", "最新值"),
    "now.name": ("Quantity", "参数"),
    "now.value": ("Value", "数值"),
    "now.age": ("Measured", "测量时间"),
    "now.about": (
        "The newest value in the chosen time and when it was measured: an old one is old.",
        "所选时段内的最新值及其测量时间：旧值一目了然。",
    ),
    "state": ("State", "状态"),
    "phase.about": (
        "The recipe's phases by their names, and how a batch ended.",
        "配方阶段（按配方中的名称）及批次结束方式。",
    ),
    "phase.COMPLETE": ("complete", "完成"),
    "phase.ABORTED": ("aborted", "中止"),
    "assay": ("Laboratory", "化验值"),
    "ahead.feed": ("Feed, foreseen", "补料预测"),
    "ahead.do": ("DO setpoint, foreseen", "溶氧设定预测"),
    "ahead.biomass": ("Biomass, foreseen", "菌体浓度预测"),
    "ahead.product": ("Product, foreseen", "产物浓度预测"),
    "ahead.our": ("OUR, foreseen", "摄氧率预测"),
    "ahead.substrate": ("Substrate, foreseen", "残糖预测"),
    "modes": ("Modes", "模式"),
    "modes.about": (
        "What each loop really does. No bar: the controller stored nothing.",
        "各回路的实际模式。无色条：控制器未存储数据。",
    ),
    "loops": ("Loops", "回路"),
    "do.about": (
        "% of air saturation at the calibration of the plant file; coloured beyond its alarm.",
        "空气饱和度 %（按装置文件标定）；超报警限时着色。",
    ),
    "ph.about": ("Output above 0: base; below 0: acid.", "输出大于 0：加碱；小于 0：加酸。"),
    "temperature.about": (
        "Output above 0: heating; below 0: cooling.",
        "输出大于 0：加热；小于 0：冷却。",
    ),
    "gas": ("Gas flow", "通气量"),
    "gas.about": ("Reference conditions are those of the flow meter.", "参比状态以流量计为准。"),
    "feeds": ("Feeds and doses", "补料与加料"),
    "weights": ("Weight", "重量"),
    "pressure": ("Head pressure", "罐压"),
    "offgas": ("Off-gas", "尾气"),
    "respiration": ("OUR and CER", "摄氧率与二氧化碳释放率"),
    "respiration.about": (
        "Off-gas balance; RQ on the right.",
        "由尾气衡算；右轴为呼吸商。",
    ),
    "estimates": ("Soft sensors", "软测量"),
    "estimate.about": (
        "The estimator's mean and its 90 % interval.",
        "估计均值及其 90 % 区间。",
    ),
    "estimate.upper": ("+ 90 %", "+ 90 %"),
    "estimate.lower": ("- 90 %", "- 90 %"),
    "factors": ("Learned factors", "学习系数"),
    "factors.about": (
        "Plant against model: 1 is the model's own oxygen uptake and transfer.",
        "实际与模型之比：1 表示模型自身的摄氧与传氧能力。",
    ),
    "trust": ("Quality", "数据质量"),
    "trust.about": (
        "No bar: no contact. Coloured: the reading is uncertain or bad.",
        "无色条：无通信。着色：读数可疑或无效。",
    ),
    "alarms": ("Alarms", "报警"),
    "alarms.about": (
        "Each alarm by its id, from its first change in the chosen time.",
        "按编号显示各报警，自所选时段内首次变化起。",
    ),
    "foreseen": (
        "What the newest plan foresees: the next 12 h, empty without a plan of the last 15 min",
        "最新计划的预测：未来 12 小时（15 分钟内无计划则为空）",
    ),
    # batch
    "board.batch": ("Batches compared", "批次对比"),
    "board.batch.about": (
        "Chosen batches by their age, the band of the references, and how far a batch leaves it.",
        "按发酵周期叠加所选批次，与参考批次的黄金带对比并给出偏离度。",
    ),
    "age.h": ("Hours since inoculation", "接种后小时数"),
    "overlay": ("Chosen batches", "所选批次"),
    "overlay.about": (
        "Thick: the batch in focus. Thin: the others, dashed by vessel, in a grey by day.",
        "粗线：重点批次。细线：其他所选批次，线型区分罐，灰度区分日期。",
    ),
    "band": ("Golden band", "黄金带"),
    "band.of": ("Golden band: {}", "黄金带：{}"),
    "band.about": (
        "Least, median and greatest of the reference batches at each age, of three or more, and "
        "the batch in focus, which is none of them. Before Grafana 11.5 the middle is the mean.",
        "参考批次（至少 3 批，不含重点批次）在各周期的最小、中位与最大值，以及重点批次。"
        "Grafana 11.5 之前中线为平均值。",
    ),
    "deviation.of": ("Deviation score: {}", "偏离度：{}"),
    "deviation.about": (
        "Of the batch in focus, as in the batch report. 0: the middle of the golden band; beyond "
        "±1: outside it.",
        "重点批次的偏离度，与批报告一致。0 为黄金带中线；超出 ±1 即在带外。",
    ),
    "kpi": ("Key figures of the chosen batches", "所选批次关键指标"),
    "kpi.about": ("Of what lies in the chosen time.", "仅统计所选时段。"),
    "low": ("least", "最小"),
    "middle": ("median", "中位"),
    "high": ("greatest", "最大"),
    "score": ("score", "偏离度"),
    "kpi.age": ("Age (h)", "周期 (h)"),
    "kpi.do_least": ("Least DO (%)", "最低溶氧 (%)"),
    "kpi.our_peak": ("Greatest OUR (mmol/(L·h))", "最高摄氧率 (mmol/(L·h))"),
    "kpi.biomass": ("Greatest biomass (g/L)", "最高菌体浓度 (g/L)"),
    "kpi.product": ("Greatest product (g/L)", "最高产物浓度 (g/L)"),
    "kpi.acetate": ("Greatest acetate (g/L)", "最高乙酸 (g/L)"),
    "kpi.volume": ("Greatest volume (L)", "最大体积 (L)"),
}
