"""Voilà's settings for `make app`: the kernels of closed pages are shut down."""

import logging

c = get_config()  # noqa: F821  # Voilà defines it


def set_cookie(handler, notebook, cwd):
    """Set the cookie that a page sends back with its request to shut its kernel down; Voilà sets none by itself."""
    handler.xsrf_token  # noqa: B018  # reading it sets the cookie


def worth_logging(record):
    """False for the errors of a page that was closed while it loaded."""
    return not (record.exc_info and record.exc_info[0].__name__ == "DeadKernelError")


c.VoilaConfiguration.prelaunch_hook = set_cookie
logging.getLogger("Voila").addFilter(worth_logging)
# The kernels of pages that sent no such request: the browser crashed, or the phone fell asleep. In seconds.
c.MappingKernelManager.cull_idle_timeout = 180
c.MappingKernelManager.cull_interval = 30
