"""Typed search attributes: how an operator finds a workflow in the Temporal UI."""

from temporalio.common import SearchAttributeKey

ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
ORDER_NUMBER = SearchAttributeKey.for_keyword("OrderNumber")
LMS_USER_ID = SearchAttributeKey.for_keyword("LmsUserId")
COURSE_ID = SearchAttributeKey.for_keyword("CourseId")
PAYMENT_INTENT_ID = SearchAttributeKey.for_keyword("PaymentIntentId")
