/* A component as it is written for RT-Thread: requests in a singly linked list, and a log. */
#include "rtthread_app.h"

#define DBG_TAG "component"
#define DBG_LVL DBG_INFO
#include <rtdbg.h>

struct request {
  rt_slist_t list;
  int number;
};

static rt_slist_t the_requests = RT_SLIST_OBJECT_INIT(the_requests);

static rt_err_t add_request(int number) {
  struct request *request = (struct request *)rt_malloc(sizeof(struct request));
  if (request == RT_NULL) {
    LOG_E("no memory for request %d", number);
    return -RT_ENOMEM;
  }
  request->number = number;
  rt_slist_append(&the_requests, &request->list);
  LOG_D("request %d", number);
  return RT_EOK;
}

rt_err_t app_component(void) {
  struct request *request;
  int sum = 0;

  for (int i = 1; i <= 3; i++) {
    if (add_request(i) != RT_EOK) {
      return -RT_ENOMEM;
    }
  }
  rt_slist_for_each_entry(request, &the_requests, list) {
    sum = sum * 10 + request->number;
  }
  if (sum != 123 || rt_slist_len(&the_requests) != 3 ||
      rt_slist_tail_entry(&the_requests, struct request, list)->number != 3) {
    return -RT_ERROR;
  }
  request = rt_slist_first_entry(&the_requests, struct request, list);
  rt_slist_remove(&the_requests, &request->list);
  rt_slist_insert(&the_requests, &request->list);
  LOG_I("%d requests", (int)rt_slist_len(&the_requests));
  while (!rt_slist_isempty(&the_requests)) {
    request = rt_slist_entry(rt_slist_first(&the_requests), struct request, list);
    rt_slist_remove(&the_requests, &request->list);
    rt_free(request);
  }
  LOG_W("%s", "empty");
  return rt_slist_tail(&the_requests) == &the_requests ? RT_EOK : -RT_ERROR;
}
