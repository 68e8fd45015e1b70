"""What a person is told of his requests, by code, in English and in Chinese.

The names in braces are the same in both; a test holds them together, and each code to its place in
the program.
"""

from collections.abc import Mapping

from controller.texts import said_advice, said_record

# words of the plant that a line names; ``word.`` before them
WORDS: Mapping[str, str] = {
    **said_advice.WORDS,
    "start": "启动",
    "hold": "保持",
    "resume": "继续",
    "abort": "中止",
    "confirm": "确认",
    "step": "跳步",
    "edit": "修改",
    "viewer": "观察员",
    "operator": "操作员",
    "engineer": "工程师",
    "OFF": "关闭",
    "MANUAL": "手动",
    "AUTO": "自动",
    "CASCADE": "串级",
    "OPTIMISER": "先控",
    "IMAN": "跟踪",
    "LO": "强制",
    "IDLE": "空闲",
    "RUNNING": "运行",
    "HELD": "保持",
    "ABORTED": "已中止",
    "COMPLETE": "完成",
    "off": "关闭",
    "shadow": "影子",
    "on": "投用",
    "none": "无",
    "ended": "已结束",
    "under way": "进行中",
    "running": "运行",
    "stopping": "正在停止",
    "stopped": "已停车",
    "released": "已解除",
    "tripped": "已动作",
    "reset": "已复位",
    "unacknowledged": "未确认",
    "returned": "已恢复未确认",
    "acknowledged": "已确认",
    "locked": "已锁定",
    "unlocked": "已解锁",
    "changed": "已更改",
    "removed": "已删除",
}

# what was changed, in the audit trail; ``what.`` before them
CHANGED: Mapping[str, str] = {
    **said_advice.CHANGED,
    "mode": "模式",
    "setpoint": "设定值",
    "output": "输出",
    "recipe start": "启动配方",
    "recipe hold": "保持配方",
    "recipe resume": "继续配方",
    "recipe abort": "中止配方",
    "recipe": "配方",
    "recipe step": "配方跳步",
    "recipe confirm": "配方确认",
    "recipe version": "配方版本",
    "edit recipe": "修改配方",
    "optimiser": "优化器",
    "experiment": "整定试验",
    "tuning": "整定参数",
    "bypass": "联锁切除",
    "end bypass": "恢复联锁",
    "latch": "联锁自保持",
    "reset": "联锁复位",
    "alarm": "报警",
    "acknowledge": "确认报警",
    "sample": "化验结果",
    "safe stop": "安全停车",
    "safe-stop": "安全停车",
    "release": "解除安全停车",
    "controller": "控制器",
    "stop": "停止控制器",
    "tune": "整定",
    "end tuning": "结束整定试验",
    "users": "用户管理",
    "view": "查看",
    "audit": "审计追踪",
    "session": "会话",
    "user log in": "登录",
    "user log out": "退出登录",
    "user locked out": "密码错误锁定",
    "user password": "修改密码",
    "user made": "新建用户",
    "user role": "修改角色",
    "user locked": "锁定用户",
    "user unlocked": "解锁用户",
    "user removed": "删除用户",
}

TEXTS: Mapping[str, tuple[str, str]] = {
    **{f"word.{word}": (word, chinese) for word, chinese in WORDS.items()},
    **{f"what.{what}": (what, chinese) for what, chinese in CHANGED.items()},
    **said_advice.TEXTS,
    **said_record.TEXTS,
    "changed": ("{subject} {what}: {old} → {new}{unit}", "{subject} {what}：{old} → {new}{unit}"),
    "refused": ("{subject} {what} refused{asked}", "{subject} {what}被拒绝{asked}"),
    "acknowledged": ("{name}: acknowledged: {alarms}", "{name}：已确认 {alarms}"),
    "safe_stop": ("safe stop: {reactors}", "安全停车：{reactors}"),
    "asked": (": {asked}", "：{asked}"),
    "other": ("{error}", "未执行（系统原文）：{error}"),
    # who may what
    "role": (
        "{action}: a {role} may not; {least} is required",
        "{action}：{role}无权操作，需要{least}权限",
    ),
    "nobody_may": (
        "{action}: a {role} may not; nobody may",
        "{action}：{role}无权操作，任何人都无权",
    ),
    # loops
    "no_loop": ("{name}: no such loop; {known}", "{name}：没有这个回路；现有 {known}"),
    "no_mode": (
        "{loop}: mode {mode} is not allowed; {allowed}",
        "{loop}：没有 {mode} 模式；可选 {allowed}",
    ),
    "critical": ("{loop}: is critical; a reason is required", "{loop}：关键回路，必须填写原因"),
    "moved": (
        "{loop}: its {what} is {now} now, not {expected}; look again",
        "{loop}：{what}现在是 {now}，不是 {expected}，已有人改动，请核对后再操作",
    ),
    "moved.setpoint": ("setpoint", "设定值"),
    "moved.output": ("output", "输出"),
    "moved.tuning": ("tuning", "整定参数"),
    "setpoint_range": (
        "{loop}: setpoint {value} is outside {low} to {high} {unit}",
        "{loop}：设定值 {value} 超出允许范围 {low} 至 {high} {unit}",
    ),
    "setpoint_elsewhere": (
        "{loop}: its setpoint comes from elsewhere in {mode}; set its mode to AUTO first",
        "{loop}：{mode} 模式下设定值由上级给定，请先切到自动",
    ),
    "output_by_hand": (
        "{loop}: its output is set in MANUAL, not in {mode}",
        "{loop}：只有手动模式才能设输出，现在是 {mode}",
    ),
    "output_range": (
        "{loop}: output {value} is outside {low} to {high}",
        "{loop}：输出 {value} 超出允许范围 {low} 至 {high}",
    ),
    # tuning
    "no_pid": ("{loop}: has no PID to be tuned", "{loop}：没有 PID，不能整定"),
    "in_experiment": ("{loop}: an experiment is under way", "{loop}：正在进行整定试验"),
    "no_experiment": ("{loop}: no experiment is under way", "{loop}：没有正在进行的整定试验"),
    "other_experiment": (
        "{loop}: {other} is in an experiment; one at a time",
        "{loop}：{other} 正在进行整定试验，一次只能做一个",
    ),
    "not_now": ("{loop}: no experiment now: {why}", "{loop}：现在不能做整定试验：{why}"),
    "no_band": (
        "{loop}: has no band; say how far it may go (deviation)",
        "{loop}：未设允许偏差，请给出试验的最大偏离",
    ),
    "experiment_range": ("{loop}: {error}", "{loop}：试验参数不允许：{error}"),
    "kp_range": (
        "{loop}: kp {value} is not allowed; it must be > 0",
        "{loop}：比例增益 {value} 不允许，必须大于 0",
    ),
    "tuning_range": ("{loop}: {error}", "{loop}：整定参数不允许：{error}"),
    "no_experiment_yet": (
        "{loop}: no experiment since the controller began",
        "{loop}：控制器启动以来没有做过整定试验",
    ),
    # why a loop or an actuator is not as asked
    "is_bad": ("{tag} is BAD", "{tag} 坏值"),
    "is_disputed": (
        "{tag} disagrees with a second value; its alarm stands",
        "{tag} 与另一来源的值不符，报警未消除",
    ),
    "margin": (
        "{tag} disagrees with a second value: setpoint up to {by} {unit} higher",
        "{tag} 与另一来源的值不符：设定值最多提高 {by} {unit}",
    ),
    "is_open": ("{tag} is open", "{tag} 已打开"),
    "must_open": ("{tag} must open", "{tag} 须打开"),
    "is_in": ("is in {mode}", "处于{mode}"),
    "no_leader": ("nothing leads it in {mode}", "{mode}方式下没有上位给定"),
    "tracking": ("tracking: {slave} {why}", "跟踪：{slave} {why}"),
    "fallback": ("fall-back: {why}", "退守值：{why}"),
    "at_most": ("at most {most} {unit} at {tag}", "在 {tag} 当前值下至多 {most} {unit}"),
    "cut": ("cut: {loop} can do no more", "减补料：{loop} 已到极限"),
    "no_rise": ("no rise: {loop} below {limit}", "不增补料：{loop} 低于 {limit}"),
    "back_slowly": ("back slowly, for {loop}", "缓慢恢复：照顾 {loop}"),
    "not_finite": ("asked for no number; safe value", "请求值不是数字；取安全值"),
    "range": ("range {low} to {high} {unit}", "量程 {low} 至 {high} {unit}"),
    "rate": ("at most {rate} {unit} per s", "变化率至多 {rate} {unit}/s"),
    "not_evaluated": ("interlocks were not evaluated; safe value", "联锁未运算；取安全值"),
    "dose": ("at most {ml} mL in an hour", "每小时至多 {ml} mL"),
    # interlocks
    "below": ("{tag} below {low}{unit}", "{tag} 低于 {low}{unit}"),
    "above": ("{tag} above {high}{unit}", "{tag} 高于 {high}{unit}"),
    "outside": (
        "{tag} below {low} or above {high}{unit}",
        "{tag} 低于 {low} 或高于 {high}{unit}",
    ),
    "bad": ("{tags} BAD", "{tags} 坏值"),
    "and": ("{line} and {other}", "{line} 且 {other}"),
    "or": ("{line} or {other}", "{line} 或 {other}"),
    "lasting": ("{what} for {s} s", "{what}，持续 {s} s"),
    "interlock": ("{when}: {does}", "{when}：{does}"),
    "does_not_start": ("{name} does not start", "{name} 不得启动"),
    "not_done": ("{why} (bypassed: not done)", "{why}（已切除，未执行）"),
    "no_interlock": ("{name}: no such interlock; {known}", "{name}：没有这个联锁；现有 {known}"),
    "not_tripped": (
        "{name}: it is not tripped; nothing to reset",
        "{name}：联锁未动作，不需要复位",
    ),
    "reason_lasts": (
        "{name}: it cannot be reset while its reason lasts: {why}",
        "{name}：联锁条件仍然存在，不能复位：{why}",
    ),
    "never_bypassed": (
        "{name}: it may never be bypassed (bypass_max_min = 0)",
        "{name}：此联锁不允许切除（bypass_max_min = 0）",
    ),
    "bypassed_already": (
        "{name}: it is bypassed already, by {who}; end it first",
        "{name}：已由 {who} 切除，请先恢复",
    ),
    "bypass_range": (
        "{name}: a bypass of {minutes} min is not allowed; more than 0 to {most} min",
        "{name}：不允许切除 {minutes} 分钟；允许大于 0，至多 {most} 分钟",
    ),
    "bypass_reason": ("{name}: a bypass needs a reason", "{name}：切除联锁必须填写原因"),
    "not_bypassed": (
        "{name}: it is not bypassed; nothing to end",
        "{name}：联锁未切除，不需要恢复",
    ),
    # alarms
    "no_alarm": (
        "{name}: no such alarm or reactor; to be acknowledged: {waiting}",
        "{name}：没有这个报警或罐；待确认的有 {waiting}",
    ),
    "none_waits": (
        "{name}: no alarm of it is to be acknowledged",
        "{name}：没有待确认的报警",
    ),
    "seen_already": (
        "{name}: it was acknowledged by {who} already",
        "{name}：已由 {who} 确认",
    ),
    "normal": (
        "{name}: it is normal; there is nothing to acknowledge",
        "{name}：报警已恢复正常，不需要确认",
    ),
    # reactor, recipe, optimiser
    "no_reactor": ("{name}: no such reactor; {known}", "{name}：没有这个罐；现有 {known}"),
    "stopped": (
        "{reactor}: safe stop; release it first",
        "{reactor}：正在安全停车，请先解除安全停车",
    ),
    "not_stopped": (
        "{reactor}: there is no safe stop to be released",
        "{reactor}：没有安全停车需要解除",
    ),
    "under_way": (
        "{reactor}: batch {batch} is {state}",
        "{reactor}：批号 {batch} 尚未结束（{state}）",
    ),
    "no_batch": (
        "{reactor}: no batch; start a recipe first",
        "{reactor}：没有批次，请先启动配方",
    ),
    "no_recipe": (
        "{reactor}: no recipe yet; name one with --recipe",
        "{reactor}：还没有配方，请选择一个",
    ),
    "no_choice": (
        "{reactor}: {action} takes no recipe and no parameters",
        "{reactor}：此操作（{action}）不带配方和参数",
    ),
    "moved_on": (
        "{reactor}: it is in phase {phase} now; look again",
        "{reactor}：现在处于阶段 {phase}，请核对后再操作",
    ),
    "step_reason": (
        "{reactor}: a step leaves a phase early; a reason is required",
        "{reactor}：跳步会提前结束阶段，必须填写原因",
    ),
    "edit_reason": (
        "{reactor}: a reason is required to edit a running recipe",
        "{reactor}：修改运行中的配方必须填写原因",
    ),
    "same_recipe": (
        "{reactor}: this is the recipe that the batch runs by",
        "{reactor}：与正在运行的配方相同，没有改动",
    ),
    "asks_nothing": (
        "{reactor}: phase {phase} asks for no confirmation now",
        "{reactor}：阶段 {phase} 现在没有需要确认的问题",
    ),
    "not_begun": (
        "{reactor}: the first phase has not begun yet",
        "{reactor}：第一个阶段尚未开始",
    ),
    "recipe_state": (
        "{reactor}: {action} is not allowed while the recipe is {state}; it must be {allowed}",
        "{reactor}：配方处于{state}状态，不能{action}；须为{allowed}",
    ),
    "no_optimiser": (
        "{reactor}: the plant file has no optimiser for it",
        "{reactor}：装置文件没有为它配置优化器",
    ),
    "optimiser_mode": (
        "optimiser: {mode} is not allowed; {allowed}",
        "优化器：不能设为 {mode}；可选 {allowed}",
    ),
    "optimiser_off": (
        "{loop}: the optimiser of {reactor} is not on",
        "{loop}：{reactor} 的优化器未投用",
    ),
    "recipe_held": (
        "{reactor}: the recipe is HELD; resume it first",
        "{reactor}：配方处于保持状态，请先继续",
    ),
    # users and log-in
    "wrong": ("name or password is wrong", "用户名或密码错误"),
    "locked": ("{name} is locked; an engineer unlocks", "{name} 已被锁定，由工程师解锁"),
    "locked_out": (
        "{name} is locked after {failures} wrong passwords, for {minutes} min or until an engineer "
        "unlocks",
        "{name} 连续 {failures} 次密码错误，已锁定，{minutes} 分钟后或由工程师解锁后可再登录",
    ),
    "no_user": ("{name}: no such user; {known}", "{name}：没有这个用户；现有 {known}"),
    "user_name": (
        "{name} is not allowed; a name is {rule}",
        "用户名 {name} 不允许；应为 1 至 32 个小写字母、数字、点、横线或下划线，首尾为字母或数字",
    ),
    "users_already": (
        "there are users already; an engineer makes more of them",
        "已有用户，由工程师新建",
    ),
    "user_already": (
        "{name} is not allowed; there is such a user already",
        "用户 {name} 已存在",
    ),
    "users_max": ("there are {most} users; no more are allowed", "已有 {most} 个用户，不能再增加"),
    "last_engineer": (
        "{name} is the last engineer; make another one first",
        "{name} 是最后一名工程师，请先另设一名",
    ),
    "password": (
        "this password is not allowed; {least} to {most} characters are required, and not the "
        "user's name",
        "密码不符合要求：须 {least} 至 {most} 个字符，且不能与用户名相同",
    ),
    "language": (
        "language {language} is not allowed; en, zh or nothing",
        "语言 {language} 不允许；可选 en、zh 或不填",
    ),
    "token": (
        "the set-up token is wrong, or was used already",
        "设置口令错误，或已被使用",
    ),
    "busy": (
        "too many log-ins at once; try again in a moment",
        "登录请求过多，请稍后再试",
    ),
    "flood": (
        "too many log-ins from there; try again in {seconds} s",
        "登录尝试过于频繁，请 {seconds} 秒后再试",
    ),
    "log_in": ("log in first", "请先登录"),
    "csrf": (
        "the page's own token is missing; load the page again",
        "页面令牌无效，请刷新页面",
    ),
    "idle": (
        "nobody was here for {minutes} min; log in again to act",
        "{minutes} 分钟无人操作，请重新登录后再操作",
    ),
    "user_change": (
        "what must be one of {allowed}, a role one of {roles}",
        "操作应为 {allowed} 之一，角色应为 {roles} 之一",
    ),
    # what was sent
    "limit": ("limit: it must be a whole number from 1 to {most}", "limit 应为 1 至 {most} 的整数"),
    "no_analyte": (
        "{reactor}: no analyte {name}; those of the plant file are {known}",
        "{reactor}：没有检测项目 {name}；工厂文件中有 {known}",
    ),
    "wrong_unit": (
        "{name}: unit {unit} is not allowed; {known} are",
        "{name}：单位 {unit} 不允许；允许 {known}",
    ),
    "assay_range": (
        "{name}: {value} {unit} is outside {low} to {high} {unit}; "
        "check dilution and decimal point",
        "{name}：{value} {unit} 超出 {low} 至 {high} {unit}；请核对稀释倍数和小数点",
    ),
    "sample_time": (
        "a time of the sample is missing or no time",
        "取样时间或出结果时间缺失或无效",
    ),
    "sample_ahead": (
        "the sample is {minutes} min in the future; check the clock",
        "取样时间超前 {minutes} 分钟；请核对时钟",
    ),
    "sample_order": (
        "the result was there before the sample was taken; check both times",
        "出结果时间早于取样时间；请核对两个时间",
    ),
    "sample_old": (
        "the sample is {hours} h old; at most {most} h are allowed",
        "样品已有 {hours} 小时；至多 {most} 小时",
    ),
    "no_result": (
        "result {number}: there is none; those that can be corrected are {known}",
        "没有第 {number} 号结果；可更正的有 {known}",
    ),
    "corrected": (
        "result {number} of {who} has been corrected already, by result {by}; correct that one",
        "{who} 的第 {number} 号结果已由第 {by} 号更正；请更正后者",
    ),
    "other_analyte": (
        "result {number} is of {name}; only a result of the same analyte replaces it",
        "第 {number} 号结果是 {name}；只能由同一检测项目的结果更正",
    ),
    "entered_before": (
        "{name} of this sample was entered by {who}: {value} {unit}, result {number}; "
        "correct it if it is wrong",
        "该样品的 {name} 已由 {who} 录入：{value} {unit}，第 {number} 号；如有误请更正",
    ),
    "correction_reason": (
        "result {number}: a correction needs a reason",
        "更正第 {number} 号结果须填写原因",
    ),
    "result_entered": (
        "{subject}: {new} {unit} entered, result {number}",
        "{subject}：已录入 {new} {unit}，第 {number} 号结果",
    ),
    "result_corrected": (
        "{subject}: result {number} corrected, {old} → {new} {unit}",
        "{subject}：第 {number} 号结果已更正，{old} → {new} {unit}",
    ),
    "no_laboratory": (
        "{reactor}: its plant file has no laboratory",
        "{reactor}：工厂文件中没有化验室配置",
    ),
    "no_command": ("/{path}: no such command", "/{path}：没有这个命令"),
    "names_himself": (
        "who and role are not allowed; they are those of the log-in",
        "不允许给出 who 和 role，以登录用户为准",
    ),
    "silent": ("the controller does not answer: {why}", "控制器无应答，命令未执行：{why}"),
    "not_json": ("content-type: application/json is required", "请求格式应为 application/json"),
    "too_long": ("body: at most {most} bytes are allowed", "请求过长，至多 {most} 字节"),
    "unreadable": ("body: is not JSON", "请求不是 JSON"),
    "no_object": ("body: it must be a JSON object", "请求应为 JSON 对象"),
    "texts": ("body: {keys} are required, as texts", "请求须含文本项 {keys}"),
    "host": ("Host {host}: allowed is {allowed}", "不能用名称 {host} 访问；允许 {allowed}"),
    "method": ("{method} {path}: only reading is allowed there", "{method} {path}：只允许读取"),
    "origin": ("Origin {origin}: allowed is {allowed}", "请求来源 {origin} 不允许；允许 {allowed}"),
    "no_key": (
        "{key}: no such key; allowed are {allowed}{hint}",
        "{key}：没有这一项；允许 {allowed}{hint}",
    ),
    "hint": ("; did you mean {near}?", "；是否指 {near}？"),
    "missing": ("{key}: is missing", "{key}：未填写"),
    "value": ("{key}: {value} is not allowed; {why}", "{key}：{value} 不允许；{why}"),
    "a_number": ("it must be a number", "应为数字"),
    "a_whole_number": ("it must be a whole number, not negative", "应为非负整数"),
    "a_finite_number": ("it must be a finite number", "应为有限数字"),
    "a_line": (
        "it must be one line of at most {most} printable characters",
        "应为一行文字，至多 {most} 个可显示字符",
    ),
    "a_choice": ("it must be one of {allowed}", "应为以下之一：{allowed}"),
    "a_name": ("it must be a name of 1 to {most} characters", "应为 1 至 {most} 个字符的姓名"),
}
