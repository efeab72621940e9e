"""A Problem in the words of the person at the page; what has no words of its own is shown as the API says it."""

import re

from citybrain.console.rendering import moment
from citybrain.console.texts import word
from citybrain.problem import FieldError, Problem

_REASONS = (
    (re.compile(r"requires it$"), "必须填写"),
    (re.compile(r"^the case has none yet"), "案件还没有类型，请选择"),
    (re.compile(r"is no type of"), "不是该领域的类型"),
    (re.compile(r"^no department"), "没有这个部门"),
    (re.compile(r"not in the future"), "必须晚于现在"),
    (re.compile(r"not later than the present deadline"), "必须晚于现在的时限"),
    (re.compile(r"no such other case"), "没有这个案件，或与本案件相同"),
    (re.compile(r"not all of them are events|none would stay"), "只能拆出本案件的部分上报，至少留下一条"),
    (re.compile(r"only when exchanged"), "经度与纬度填反了"),
    (re.compile(r"\(0, 0\)"), "坐标为零，不是有效位置"),
    (re.compile(r"is no longitude"), "不是有效经度"),
    (re.compile(r"is no latitude"), "不是有效纬度"),
    (re.compile(r"belong together"), "经度和纬度要同时填写"),
    (re.compile(r"needs lng and lat"), "请定位，或选择区划，或填写地址"),
    (re.compile(r"must be a number"), "必须是数字"),
    (re.compile(r"^no division"), "没有这个区划"),
    (re.compile(r"^they contradict each other"), "所选区划互相矛盾，请只选同属一处的"),
    (re.compile(r"in the future"), "不能晚于现在"),
    (re.compile(r"at most (\d+) characters"), r"过长，最多 \1 个字"),
    (re.compile(r"[Ff]ield required"), "必须填写"),
    (re.compile(r"^['\"](.*)['\"] is no basis"), r"登记册中没有“\1”，请在覆盖率页的“口径”中选择"),
    (re.compile(r"^['\"](.*)['\"] is no level"), r"本市没有“\1”这一层级"),
    (re.compile(r", below level"), "所选区划比这一层级更细，请去掉层级，或改选上级区划"),
    (re.compile(r"^['\"](.*)['\"] is no day"), r"“\1”不是日期，应形如 2026-11-22"),
    (re.compile(r"before the registry begins \((.*)\)"), r"登记册从 \1 开始，之前没有数据；请选择这一天或以后的日期"),
    (re.compile(r"is after (\S+), when all present evidence"), r"最晚可选 \1；再往后，现有证据已全部离开窗口期"),
    (re.compile(r"valid integer"), "应为整数"),
    (re.compile(r"valid boolean"), "应为 1 或 0"),
    (re.compile(r"greater than or equal to (\d+)"), r"不能小于 \1"),
    (re.compile(r"less than or equal to (\d+)"), r"不能大于 \1"),
    (re.compile(r"^Input should be '"), "没有这个选项"),
)
_ACTED = re.compile(r"^(?P<actor>\S+) acted first \((?P<action>\w+), (?P<at>[^)]+)\)")
_DETAILS = (
    (re.compile(r"^no such division"), "没有这个区划，或不在您的查看范围内；请从覆盖率页逐级选择。"),
    (re.compile(r"^no such"), "没有这一项，或不在您的查看范围内。"),
    (re.compile(r"^the role"), "您的角色不能做这一步。"),
    (re.compile(r"not one of this session"), "页面已过期，请返回后刷新再试。"),
    (re.compile(r"is unknown, expired or revoked"), "密钥不正确、已过期或已停用。"),
    (re.compile(r"the store cannot|not acknowledged"), "系统暂时不可用，没有任何改动，请稍后再试。"),
    (re.compile(r"unforeseen"), "系统出错，已记入日志，没有任何改动。"),
    (re.compile(r"^at most (\d+) views"), "常用视图已满，请先删除一个。"),
    (re.compile(r"only quarantined events are replayed"), "只有隔离中的事件才能重新处理。"),
    (re.compile(r"only failed and pending deliveries"), "只有失败或待推送的消息才能重推。"),
    (re.compile(r"may not post to the domain"), "您的密钥不能向该领域上报。"),
    (re.compile(r"another event was posted under"), "这份表单已经上报过，内容不同；请作为新的上报提交。"),
)


def in_words(problem: Problem) -> list[str]:
    """One sentence each: a conflict says who acted first, a wrong field which one."""
    if (case := problem.extra.get("case")) and "timeline" in case:
        last = case["timeline"][-1]
        actor, action = word("actor", last["actor"]), word("done", last["action"])
        return [f"{actor} 已先行操作：{action}（{moment(last['at'])}）。下面是最新状态，请核对后再试。"]
    if "open_cases" in problem.extra:
        parts = [f"{each['number']}（{word('status', each['status'])}）" for each in problem.extra["open_cases"]]
        return [f"下辖案件还没有全部办结，请先办结：{'、'.join(parts) or '有案件不在您的查看范围内'}。"]
    if legal := problem.extra.get("legal"):
        names = "、".join(word("action", each) for each in legal)
        return [f"案件状态已变，不能再做这一步。现在可以：{names}。"]
    if problem.errors:
        return [_field(error) for error in problem.errors]
    if found := _ACTED.search(problem.detail):
        actor, action = word("actor", found["actor"]), word("done", found["action"])
        return [f"{actor} 已先行操作：{action}（{moment(found['at'])}）。"]
    return [next((text for pattern, text in _DETAILS if pattern.search(problem.detail)), problem.detail)]


def _field(error: FieldError) -> str:
    name = word("field", error.field.removeprefix("body.").removeprefix("query."))
    for pattern, text in _REASONS:
        if found := pattern.search(error.message):
            return f"{name}：{found.expand(text)}"
    return f"{name}：{error.message}"
