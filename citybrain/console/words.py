"""Every word the pages use for a code of the record: statuses, actions, roles, reasons. One table, so that a term is
said one way everywhere."""

from citybrain.routing.decision import LOST, TRIAGE

STATUS = {
    "triage": "待分拨",
    "filed": "已立案",
    "dispatched": "已派遣",
    "accepted": "已受理",
    "returned": "已退回",
    "completed": "已处置",
    "verified": "已核查",
    "suspended": "挂账",
    "closed": "已结案",
    "void": "已作废",
}
ORDER_STATUS = {
    "sent": "已派发",
    "accepted": "已受理",
    "returned": "已退回",
    "completed": "已处置",
    "cancelled": "已撤销",
}
ORDER_ROLE = {"lead": "主办", "assist": "协办"}
EVENT_STATE = {"received": "待处理", "triage": "待分拨", "cased": "已成案", "quarantined": "隔离"}
DELIVERY_STATUS = {"pending": "待推送", "delivered": "已送达", "failed": "推送失败", "held": "暂存未送"}
HELD = {"no_endpoint": "该部门没有对接端点", "disabled": "对接端点已停用"}
MESSAGE = {
    "work_order.dispatched": "派遣",
    "work_order.updated": "变更通知",
    "work_order.cancelled": "撤销通知",
    "work_order.supervised": "督办",
    "case.closed": "结案通知",
    "endpoint.test": "测试",
}
ROLE = {
    "source": "上报来源",
    "worker": "网格员",
    "operator": "指挥中心",
    "system": "部门系统",
    "auditor": "审计",
    "admin": "管理员",
}
ACTOR = {"rules": "分拨规则", "clock": "系统时钟"}
GRADE = {1: "Ⅰ", 2: "Ⅱ", 3: "Ⅲ", 4: "Ⅳ"}
GRADE_NAME = {1: "特别重大", 2: "重大", 3: "较大", 4: "一般"}

# What a button does, and what it is for.
ACTION = {
    "file": "立案",
    "dispatch": "派遣",
    "relocate": "更正位置",
    "reassign": "改派",
    "return": "退回",
    "extend": "延期",
    "suspend": "挂账",
    "ask": "申请延期或挂账",
    "grant": "审批申请",
    "resume": "恢复办理",
    "supervise": "督办",
    "note": "备注",
    "verify": "核查通过",
    "rework": "返工",
    "close": "结案",
    "reopen": "重新打开",
    "appeal": "申诉",
    "judge": "申诉裁定",
    "merge": "并案",
    "split": "拆分",
    "void": "作废",
}
ACTION_HINT = {
    "file": "受理并确定类型，等待派遣",
    "dispatch": "确定主办部门（必要时确定类型）并派发",
    "relocate": "位置有误时更正，责任部门按新位置重新判定",
    "reassign": "换一个主办部门，已用时限不清零",
    "return": "代部门退回，等待重新派遣",
    "extend": "把处置时限延到指定时间",
    "suspend": "暂停计时，到期自动恢复",
    "ask": "提出申请，批准后才改变计时；到期未答复即失效",
    "grant": "批准即按申请的时间执行；不批准须说明原因",
    "resume": "从剩余时限继续计时",
    "supervise": "催促在办部门",
    "note": "只记入台账，不改变状态",
    "verify": "现场核查合格",
    "rework": "核查不合格，原部门重新处置",
    "close": "核查合格后归档",
    "reopen": "已结案件再次办理",
    "appeal": "部门对计入评价的事实提出异议",
    "judge": "裁定申诉；只影响评价，不改变事实",
    "merge": "本案件并入另一案件",
    "split": "把部分上报拆为新案件",
    "void": "误报或无效，不再办理",
}
# What the ledger says happened.
DONE = {
    "triage": "进入待分拨",
    "filed": "立案",
    "typed": "确定类型",
    "dispatched": "派遣",
    "reassigned": "改派",
    "appointed": "指定主办",
    "appealed": "申诉",
    "judged": "申诉裁定",
    "relocated": "更正位置",
    "returned": "退回",
    "extended": "延期",
    "suspended": "挂账",
    "asked": "提出申请",
    "granted": "批准申请",
    "refused": "不批准申请",
    "lapsed": "申请失效",
    "resumed": "恢复办理",
    "supervised": "督办",
    "noted": "备注",
    "feedback": "处置反馈",
    "completed": "全部处置完毕",
    "verified": "核查通过",
    "reworked": "返工",
    "closed": "结案",
    "reopened": "重新打开",
    "merged": "并入上报",
    "merged_into": "并入其他案件",
    "attached": "添加照片",
    "muted": "保留，不派遣",
    "unmuted": "恢复派遣流程",
    "rescheduled": "按新日历重算时限",
    "raised": "提高等级",
    "split": "拆分上报",
    "voided": "作废",
}
AGAINST = {"overdue": "超期", "returned": "退回", "rework": "返工"}
APPEAL_OUTCOME = {"upheld": "成立，不计入评价", "rejected": "不成立"}
SUPERVISED_BECAUSE = {
    "quarter_left": "剩余时限不足四分之一",
    "due": "处置时限已到",
    "overdue": "已超过处置时限",
    "overdue_twice": "已用时间达到时限的两倍",
    "acceptance_overdue": "超过受理时限仍未立案",
    "dispatch_overdue": "超过派遣时限仍未派遣",
    "returned_twice": "已两次退回，下一次派遣为指定主办",
}
UNMUTED_BECAUSE = {"silence_ended": "静默期已结束", "warning_ended": "所在区域的预警案件已办结"}
LAPSED_BECAUSE = {"unanswered": "时限已到，未答复", "moved_on": "案件状态已变", "extended": "已另行延期"}
STAGE = {"acceptance": "受理时限", "dispatch": "派遣时限"}
STAGE_WORK = {"acceptance": "受理", "dispatch": "派遣"}
FEEDBACK = {"accepted": "受理", "returned": "退回", "progress": "进展", "completed": "处置完毕"}
TRIAGE_REASON = {code: words.zh for code, words in TRIAGE.items()} | {"split": "由其他案件拆分而来"}
LOST_BECAUSE = {code: words.zh for code, words in LOST.items()}
# What a decision rests on, and its parts; `unknown` is the cause when nothing of it has changed.
BASIS = {
    "rules": "领域规则",
    "departments": "部门登记",
    "calendar": "工作日历",
    "placing": "定位设置",
    "edition": "边界版本",
    "software": "软件",
    "unknown": "依据均未改变，请核对记录是否被改动",
}
PART = {
    "type": "类型",
    "reasons": "判定过程",
    "guesses": "可能的类型",
    "grade": "等级",
    "conditions": "适用条件",
    "limit": "处置时限",
    "duty": "所需职责",
    "department": "主办部门",
    "assist": "协办部门",
    "merge": "归并",
    "triage": "待分拨的原因",
    "due_at": "到期时间",
    "place": "位置",
    "place_in_use": "按现行边界的位置",
}
OBSTACLE = {
    "no_basis": "当时没有记录决定的时间和依据，无法重算。",
    "no_domain": "该领域已停用，无法重算。",
    "handler_failed": "领域处理器重算时出错，详见日志。",
}
TRIAGE_SHORT = {
    "outside": "市域之外",
    "no_place": "无位置",
    "no_type": "类型未定",
    "ambiguous_type": "类型不唯一",
    "no_department": "无责任部门",
    "split": "拆分而来",
}
METHOD = {
    "contains": "按坐标所在网格",
    "geometry": "按线或面的范围",
    "snapped": "坐标略出市界，归入最近处",
    "division": "按所选区划",
    "address": "按地址文字",
    "outside": "在本市范围之外",
    "none": "没有可用位置",
}
SOURCE = {"approximate": "近似", "generated": "生成"}
DATUM = {
    "": "默认",
    "wgs84": "WGS-84（GPS）",
    "gcj02": "GCJ-02（高德、腾讯）",
    "bd09": "BD-09（百度）",
    "cgcs2000": "CGCS2000",
}
UNIT = {
    "minutes": "分钟",
    "hours": "小时",
    "days": "天",
    "urgent_hours": "紧急小时",
    "working_hours": "个工作小时",
    "working_days": "个工作日",
}
CLOCK = {"working": "按工作时间计", "urgent": "全天计时"}
SORT = {
    "due": "时限：先急后缓",
    "newest": "最新在前",
    "oldest": "最早在前",
    "grade": "等级高在前",
    "updated": "最近变动",
}
COUNT = {"waiting": "待处理", "triage": "待分拨", "working": "办理中", "overdue": "超时", "quarantined": "隔离"}
FIELD = {
    "version": "版本",
    "department": "主办部门",
    "assist": "协办部门",
    "type": "事件类型",
    "location": "位置",
    "location.division_code": "区划",
    "location.division_codes": "区划",
    "location.lng": "经度",
    "location.lat": "纬度",
    "location.accuracy_m": "定位精度",
    "location.address": "地址",
    "reason": "原因",
    "responsible": "应由谁负责",
    "until": "截止时间",
    "what": "申请事项",
    "granted": "是否批准",
    "text": "说明",
    "passed": "核查结果",
    "into": "并入的案件",
    "attachments": "照片",
    "work_order": "派遣单",
    "against": "申诉事项",
    "appeal": "申诉",
    "upheld": "是否成立",
    "events": "上报",
    "domain": "领域",
    "title": "标题",
    "description": "情况描述",
    "occurred_at": "发生时间",
    "source_event_id": "上报编号",
    "reporter.name": "姓名",
    "reporter.phone": "电话",
    "sort": "排序",
    "name": "名称",
    "box": "地图范围",
    "action": "操作",
    "items": "案件",
    "cursor": "页码",
    "page": "页码",
    "order": "排序",
    "division": "区划",
    "level": "层级",
    "basis": "口径",
    "at": "日期",
    "days": "历史天数",
    "include_demo": "计入演示证据",
}
ERROR = {
    400: "请求有误",
    403: "没有权限",
    404: "没有找到",
    409: "与现状冲突",
    413: "内容过大",
    422: "内容需要更正",
    429: "操作过快，请稍候",
    500: "系统出错",
    503: "暂时不可用",
}


def word(table: dict[str, str], code: str | None) -> str:
    """The word for a code, or the code itself: a new one must not make a page fail."""
    return table.get(code, code) if code else ""
