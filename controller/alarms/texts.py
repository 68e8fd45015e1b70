"""The texts of alarms, one catalogue a language; a test holds their keys and names together.

The names in braces are the parameters of a condition. What a device says itself (``{error}``)
is English in both.
"""

LANGUAGES = ("en", "zh")

ENGLISH = {
    "high_high": "very high: {value} above {limit}{unit}",
    "high": "high: {value} above {limit}{unit}",
    "low": "low: {value} below {limit}{unit}",
    "low_low": "very low: {value} below {limit}{unit}",
    "deviation": "{value}{unit} away from its setpoint {setpoint}, more than {limit}",
    "rise": "rises by {value}{unit} a minute, more than {limit}",
    "fall": "falls by {value}{unit} a minute, more than {limit}",
    "residual": "{value}{unit} away from {against}, more than {limit}",
    "delivery": "{value} % away from what {pumped} was told, more than {limit}",
    "stale": "no new value for {value} s",
    "bad": "no usable value",
    "uncertain": "doubtful value",
    "stuck": "stuck? no noise for {span_s} s",
    "interlock": "{why}",
    "dose": "{why} is reached",
    "device": "{error}",
    "write": "write not confirmed: {error}",
    "safe": "safe values not confirmed: {error}",
    "watchdog": "its watchdog is not armed; it holds its safe values",
    "restart": "{why}",
    "stopped": "safe stop: outputs at their safe values until it is released",
    "recipe": "{why}",
    "store": "{error}",
    "scan": "{missed} scans missed within {span_s} s",
}

CHINESE = {
    "high_high": "高高：{value}，超过 {limit}{unit}",
    "high": "高：{value}，超过 {limit}{unit}",
    "low": "低：{value}，低于 {limit}{unit}",
    "low_low": "低低：{value}，低于 {limit}{unit}",
    "deviation": "偏离设定值 {setpoint} 达 {value}{unit}，限值 {limit}",
    "rise": "上升过快：每分钟 {value}{unit}，限值 {limit}",
    "fall": "下降过快：每分钟 {value}{unit}，限值 {limit}",
    "residual": "与 {against} 相差 {value}{unit}，限值 {limit}",
    "delivery": "称重与 {pumped} 给定相差 {value} %，限值 {limit}",
    "stale": "{value} 秒无新值",
    "bad": "测量值无效",
    "uncertain": "测量值可疑",
    "stuck": "疑似卡死：{span_s} 秒内无噪声",
    "interlock": "联锁动作：{why}",
    "dose": "累计加料量到限：{why}",
    "device": "设备故障：{error}",
    "write": "写入未确认：{error}",
    "safe": "安全值写入未确认：{error}",
    "watchdog": "看门狗未投用，设备保持安全值",
    "restart": "重启后等待操作员：{why}",
    "stopped": "安全停车：输出保持安全值，直到解除",
    "recipe": "配方：{why}",
    "store": "本地存储：{error}",
    "scan": "{span_s} 秒内错过 {missed} 次扫描",
}

TEXTS = {"en": ENGLISH, "zh": CHINESE}
