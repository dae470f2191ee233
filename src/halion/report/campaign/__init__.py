"""A composition series as a whole: its members beside each other, and one page about them."""

from halion.report.campaign.types import CampaignMember, CampaignResults
from halion.report.campaign.write import campaign_text, write_campaign

__all__ = ["CampaignMember", "CampaignResults", "campaign_text", "write_campaign"]
